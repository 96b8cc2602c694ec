"""The base class of errors that a user of outbound can correct."""


class UserError(Exception):
    """
    The error where what was asked for cannot be done: the message says why and what to do, and nothing was changed.

    A command prints the message as one line and exits with status 2.
    """


class SettingsError(UserError, ValueError):
    """The settings are wrong; each line of the message names one of them and what it should be."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class NoSuchName(UserError):
    """Nothing has this name, or several things have; the message lists the candidates, and nothing was changed."""
