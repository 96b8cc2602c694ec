"""Rules: who may be called, when, how fast, and on whose order."""
