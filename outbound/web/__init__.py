"""The web process: callbacks, metrics and probes."""
