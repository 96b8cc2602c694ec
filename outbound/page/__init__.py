"""The page: what goes on, for people in a browser; it shows and does what the API does, as a client of it."""
