"""Taking over the calls, leads and waiting work of the system before, beside its own tables."""
