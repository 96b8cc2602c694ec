"""Whether everything is sound that calls depend on."""
