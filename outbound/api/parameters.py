"""Parameters of queries that several operations have."""

from typing import Annotated

from fastapi import Query

from outbound.api import models

LIMIT_MAX = 1000
Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="how many at most"), models.DIGITS]
Before = Annotated[str | None, Query(max_length=60, description="`next` of the page before")]
Number = Annotated[str | None, Query(max_length=60, description="a phone number in any writing")]
Whose = Annotated[int | None, Query(ge=1, le=models.ID_MAX), models.DIGITS]
Word = Annotated[str | None, Query(max_length=200)]
When = Annotated[str | None, Query(max_length=60, description="like 2026-11-30 or 2026-11-30T09:00Z")]
Statuses = Annotated[
    list[str] | None, Query(max_length=20, description="statuses, or waiting, in-the-air, live, ended")
]
Region = Annotated[str | None, Query(max_length=10, description="country of a number without a code, like IL")]
