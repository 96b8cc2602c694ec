"""Parameters of queries that several operations have, and the page that `limit` and `before` ask for."""

import re
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from outbound.api import models
from outbound.formats import digits


def _written(kind: type) -> BeforeValidator:
    """Refuse a text that is no number as people write it."""

    def checked(value: Any) -> Any:
        if isinstance(value, str) and (fault := digits.fault(value, kind)):
            raise PydanticCustomError("not_digits", fault)
        return value

    return BeforeValidator(checked)


# Of a number, and of the offset of a moment: a form's encoding makes a space of a plus.
_LOST_PLUS = re.compile(r" [0-9][0-9() ./-]*|[^+]*:[0-9.]+ [01][0-9]:?(?:00|15|30|45)")


def _with_plus(value: Any) -> Any:
    """Refuse a text whose plus was lost on its way."""
    if isinstance(value, str) and _LOST_PLUS.fullmatch(value):
        raise PydanticCustomError("lost_plus", "a plus in a query is read as a space: write it %2B")
    return value


PLUS = BeforeValidator(_with_plus)
DIGITS = _written(int)  # of a whole number in a path or a query, where all is text
LIMIT_MAX = 1000
Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="how many at most"), DIGITS]
Before = Annotated[str | None, Query(max_length=60, description="`next` of the page before")]
BeforeId = Annotated[int | None, Query(ge=1, le=models.ID_MAX, description="`next` of the page before"), DIGITS]
Number = Annotated[str | None, Query(max_length=60, description="a phone number, its plus as %2B"), PLUS]
OneNumber = Annotated[str, Query(min_length=3, max_length=60, description="a phone number, its plus as %2B"), PLUS]
Seconds = Annotated[float | None, Query(gt=0, le=86_400), _written(float)]
Whose = Annotated[int | None, Query(ge=1, le=models.ID_MAX), DIGITS]
Word = Annotated[str | None, Query(max_length=200)]
When = Annotated[str | None, Query(max_length=60, description="like 2026-11-30 or 2026-11-30T09:00Z"), PLUS]
Statuses = Annotated[
    list[str] | None, Query(max_length=20, description="statuses, or waiting, in-the-air, live, ended")
]
Region = Annotated[str | None, Query(max_length=10, description="country of a number without a code, like IL")]


def page_of_rows(name: str, rows: Sequence[Any], limit: int) -> dict[str, Any]:
    """The answer of a list whose rows are named so, the newest first; where as many came as were asked for, `next`."""
    return {name: rows, "next": rows[-1].id if len(rows) == limit else None}
