"""Text in, values out; no database."""
