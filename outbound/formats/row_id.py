"""Ids of rows: which numbers can be one."""

from outbound.formats import digits

MAX = 2**63 - 1  # a bigint has no more
NONE = -1  # no row has it
DIGITS_MAX = len(str(MAX))


def possible(value: int) -> int:
    """An id that a row can have, or NONE."""
    return value if 0 <= value <= MAX else NONE


def read(text: str) -> int | None:
    """The id that a text writes with decimal digits; None where no row can have it."""
    value = digits.whole(text) if len(text) <= DIGITS_MAX and text[:1] != "-" else None
    return value if value is not None and value <= MAX else None
