"""Numbers in paths: as many digits as an id can have; Python would raise ValueError for one of some thousand digits."""

from starlette.convertors import IntegerConvertor, register_url_convertor

from outbound.formats import row_id


class _Id(IntegerConvertor):
    regex = f"[0-9]{{1,{row_id.DIGITS_MAX}}}"


def bound() -> None:
    """Have each `{name:int}` of a route that is declared after this match no more digits."""
    register_url_convertor("int", _Id())
