"""The screens: each module reads what it shows from the API, and says what its forms do."""
