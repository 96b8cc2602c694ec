"""The base class of errors that a user of outbound can correct."""


class UserError(Exception):
    """
    What was asked for cannot be done; the message says why and what to do instead, and nothing else was changed.

    A command prints the message as one line and exits with status 2.
    """
