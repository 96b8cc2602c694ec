"""Attacks of every kind, from a printed seed, and what came of them: `python -m tests.fuzz --help`."""
