"""Checks that everything is sound that calls depend on."""
