"""What the models of request bodies are made of; the Python client has its own file in this one's place."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Moment = Annotated[str, Field(min_length=1, max_length=60, description="like 2026-11-30T09:00, or with an offset")]


class Body(BaseModel):
    """A request body; an unknown field is refused, so that a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid", strict=True)
