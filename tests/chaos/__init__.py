"""Real processes, broken at random from a printed seed, and a ledger at the end: `python -m tests.chaos --help`."""
