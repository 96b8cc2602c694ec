"""The base class of errors that a user of outbound can correct."""

from collections.abc import Sequence
from typing import NamedTuple, Self

SEPARATOR = "; "  # between the sentences of a message


class Fault(NamedTuple):
    """
    One thing that is wrong with what was given.

    Attributes:
        field: what HTTP calls the field at fault, `numbers/0` within a list; empty where it is no single one.
        sentence: what is wrong and what to do.
    """

    field: str
    sentence: str


class UserError(Exception):
    """
    The error where what was asked for cannot be done: the message says why and what to do, and nothing was changed.

    A command prints the message as one line and exits with status 2.

    Attributes:
        field_faults: of what was looked at whole, everything that is wrong; empty where the message says all.
    """

    field_faults: Sequence[Fault] = ()

    @classmethod
    def of(cls, faults: Sequence[Fault]) -> Self:
        """The error that says all of this at once."""
        error = cls(SEPARATOR.join(fault.sentence for fault in faults))
        error.field_faults = faults
        return error

    @classmethod
    def about(cls, field: str, sentence: str) -> Self:
        """The error whose one fault is that of a field."""
        return cls.of([Fault(field, sentence)])


class SettingsError(UserError, ValueError):
    """The settings are wrong; each line of the message names one of them and what it should be."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class NoSuchName(UserError):
    """Nothing has this name, or several things have; the message lists the candidates, and nothing was changed."""
