"""The processes that run, and systemd."""
