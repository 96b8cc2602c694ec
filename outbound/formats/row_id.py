"""Ids of rows: which numbers can be one."""

MAX = 2**63 - 1  # a bigint has no more
NONE = -1  # no row has it
DIGITS_MAX = len(str(MAX))


def possible(value: int) -> int:
    """An id that a row can have, or NONE."""
    return value if 0 <= value <= MAX else NONE


def read(text: str) -> int | None:
    """The id that a text writes with decimal digits; None where no row can have it."""
    if text.isascii() and text.isdecimal() and len(text) <= DIGITS_MAX and int(text) <= MAX:
        return int(text)
    return None
