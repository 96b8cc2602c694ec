"""What the models of request bodies are made of."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def zoned(moment: datetime) -> datetime:
    """
    Check that a datetime has a time zone.

    Raises:
        ValueError: it has none, so that it may be meant by the clocks of this host or by those of the callee.
    """
    if moment.utcoffset() is None:
        raise ValueError(
            "a datetime needs a time zone: give it a tzinfo; for the clocks of the callee or the business give a text"
            " without one, like 2026-11-30T09:00"
        )
    return moment


Moment = Annotated[str, Field(min_length=1, max_length=60)] | Annotated[datetime, AfterValidator(zoned)]


class Body(BaseModel):
    """A request body; a field may be given by its name here, as `from_`, or by its name in the API, as `from`."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)
