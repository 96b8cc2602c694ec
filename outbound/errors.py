"""The one base of errors that whoever uses outbound can mend."""


class UserError(Exception):
    """
    What was asked for cannot be done; the message says why and what to do instead, and nothing else was changed.

    A command prints the message as one line and exits with status 2.
    """
