"""Translation: what the program says in English, said in another language by the template of each sentence."""
