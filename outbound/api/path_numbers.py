"""Ids in paths: digits that do not begin with 0, at most 16; whatever else stands there is answered with 404."""

import re

from starlette.convertors import IntegerConvertor, register_url_convertor

_ID = "[1-9][0-9]{0,15}"  # so many digits as models.ID_MAX has; a bigint takes each of them


class _Id(IntegerConvertor):
    regex = _ID


def bound() -> None:
    """Have each `{name:int}` of a route that is declared after this match what can be an id alone."""
    register_url_convertor("int", _Id())


def read(text: str) -> int | None:
    """The id that a part of a path is; None where it can be none."""
    return int(text) if re.fullmatch(_ID, text) else None
