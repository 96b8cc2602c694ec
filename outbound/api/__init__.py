"""The HTTP API: what a token may see and change, and what is answered."""
