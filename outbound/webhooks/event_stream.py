"""Events as a stream that can be read on from any place, without a gap."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from outbound import db
from outbound.errors import UserError
from outbound.formats import plain_text
from outbound.webhooks.event import TYPES

sql = db.statements("webhooks/event_stream")

PAGE_MAX = 500
WANTED_DAYS = 3  # after somebody read last, events are written for that long
_PLACE = re.compile(r"([0-9]{1,19})-([0-9]{1,18})")


class BadPlace(UserError):
    """The text is no place in the stream, or no type of event."""


class UnknownPlace(BadPlace):
    """The place lies after all that the server has: its database was restored to an earlier moment."""


class Place(NamedTuple):
    """A place in the stream; as text it is the id of a server-sent event."""

    xid: str
    id: int

    def __str__(self) -> str:
        return f"{self.xid}-{self.id}"


def place(text: str | None) -> Place:
    """
    The place that a text names; without one, the present end of the stream.

    Raises:
        BadPlace: it names none.
        UnknownPlace: this server has not come to it.
    """
    if not text:
        row = db.run(sql.place_now)
        return Place(row.xid, row.id)
    read = _PLACE.fullmatch(text)
    if read is None or int(read[1]) >= 2**63:
        raise BadPlace("an event's id is two numbers with a dash, as the stream gave it: leave it out to begin now")
    found = Place(read[1], int(read[2]))
    _look(found, None, None, page_max=0)
    return found


def want(reader: str, business_id: int | None = None) -> None:
    """
    Have events written for a reader from now on, and for WANTED_DAYS after it was last asked for.

    Args:
        reader: its name, 1 to 100 characters.
        business_id: the one business whose events it reads; None for all.
    """
    db.run(sql.want_events, name=reader[:100], business_id=business_id, days=WANTED_DAYS)


def read(
    after: Place, business_id: int | None = None, types: Sequence[str] | None = None
) -> tuple[list[db.Row], Place]:
    """
    The next events after a place, PAGE_MAX at most, and the place after which the next look begins: past everything
    that was looked at and is not wanted.

    Raises:
        BadPlace: one of the types is none.
        UnknownPlace: this server has not come to the place.
    """
    if unknown := sorted(set(types or ()) - TYPES.keys()):
        raise BadPlace(f"{plain_text.visible(unknown[0])[:50]} is no type of event: {', '.join(TYPES)} are")
    found = _look(after, business_id, types, page_max=PAGE_MAX)
    rows = [row for row in found if row.id is not None]
    return rows, place_of(rows[-1]) if len(rows) == PAGE_MAX else Place(found[0].end_xid, 0)


def _look(after: Place, business_id: int | None, types: Sequence[str] | None, *, page_max: int) -> list[db.Row]:
    """Read a page; one row at least, which says where the stream ends."""
    found: list[db.Row] = db.run(
        sql.events_after,
        after_xid=after.xid,
        after_id=after.id,
        business_id=business_id,
        types=list(types) if types else None,
        page_max=page_max,
    )
    if found[0].is_unknown:
        raise UnknownPlace(
            "this place lies after all that the server has, which was restored to an earlier moment: begin after a"
            " place from before it, or after 0-0, and leave out what you have had"
        )
    return found


def place_of(row: db.Row) -> Place:
    """The place of an event, after which the next one comes."""
    return Place(row.xid, row.id)


def follow(
    after: Place,
    business_id: int | None = None,
    types: Sequence[str] | None = None,
    *,
    reader: str,
    is_over: Callable[[], bool],
    poll_s: float = 1,
) -> Iterator[db.Row]:
    """
    Each event after a place as it comes, until *is_over* says so; waits for a database that is away.

    Args:
        reader: under this name events are written for as long as this goes on.
    """
    while not is_over():
        with suppress(*db.Unavailable), db.connect() as connection:
            db.listen(connection, "outbound_event")
            while not is_over():
                want(reader, business_id)
                rows, after = read(after, business_id, types)
                yield from rows
                if len(rows) < PAGE_MAX:
                    db.wait_for_notice(connection, poll_s)
        if not is_over():
            time.sleep(poll_s)


def take_in_restored() -> None:
    """After a restore into another server: let the events of before come first."""
    db.run(sql.take_in_restored)
