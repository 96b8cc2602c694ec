"""Each guard is taken out, alone, in a copy of the tree: a test must then fail."""
