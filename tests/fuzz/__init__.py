"""Attacks that stay: odd and forged input from a seed, and counts of what it did."""
