"""
Numbers as people write them: digits, a point, a minus.

Python's own readers, and pydantic's, also take `5_0`, `+5`, ` 5`, digits of other scripts, `1e3`, `nan` and `inf`.
"""

import re
from typing import Any, get_args

WRITE_WHOLE = "write a whole number in digits, like 50"
WRITE = "write a number in digits, like 50 or 0.5"
_WHOLE = re.compile(r"-?[0-9]{1,40}")
_NUMBER = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?")


def whole(text: str) -> int | None:
    """The whole number that a text writes; None where it writes none."""
    return int(text) if _WHOLE.fullmatch(text) else None


def number(text: str) -> float | None:
    """The number that a text writes; None where it writes none."""
    return float(text) if _NUMBER.fullmatch(text) else None


def kind_of(annotation: Any) -> type | None:
    """Return int or float where an annotation is that, or may be; None where it is no number."""
    kinds = {annotation, *get_args(annotation)}
    return next((kind for kind in (int, float) if kind in kinds), None)


def fault(text: str, kind: type) -> str | None:
    """Return why a text is no int or no float, as a phrase that says what to write; None where it is one."""
    if kind is int:
        return None if whole(text) is not None else WRITE_WHOLE
    return None if number(text) is not None else WRITE
