"""The audit: who did what, which rows changed, and whether what is written is still what was written."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from outbound import db
from outbound.errors import UserError
from outbound.rules.scope import Scope

sql = db.statements("rules/audit")

ROWS_MAX = 10_000

FAULTS = {
    "missing_link": "one or more links before it are gone",
    "removed": "the entry was removed",
    "erased_by_nobody": "its details were blanked, and no entry says that they were",
    "changed": "the entry or its link was changed",
    "inserted": "the entry was put in past the chain",
    "cut_off": "the last links are gone, or the head was changed",
}
CANNOT_TELL = (
    "the owner of the tables can write the whole chain again: keep `head` outside of this database, and give it with"
    " --head next time"
)


class BadAudit(UserError):
    """The error where what was asked for cannot be answered; the message says what to give."""


class Broken(NamedTuple):
    """The first link that is wrong: its place in the chain, its entry, and what is wrong with it."""

    place: int
    entry: str
    fault: str


class Chain(NamedTuple):
    """`head` is the last link, as PLACE:HASH; `broken` is None where the chain holds."""

    links: int
    head: str
    broken: Broken | None


def write(connection: db.Connection, actor: str, action: str, scope: Scope, **details: object) -> None:
    """Write an entry, in the transaction that does what it is about."""
    sql.write_audit(connection, who=actor, action=action, **scope._asdict(), details=db.json(details))


def latest(last: int = 20, *, before: int | None = None) -> list[db.Row]:
    """
    The latest entries, *last* at most (1 to ROWS_MAX), oldest first.

    Args:
        before: only those before this place of the chain; None for the latest of all.

    Raises:
        BadAudit: that is no such number.
    """
    if not 1 <= last <= ROWS_MAX:
        raise BadAudit(f"--last is a whole number from 1 to {ROWS_MAX}")
    return list(db.run(sql.list_audit, rows_max=last, before_place=before))


def pages(page_max: int) -> Iterator[list[db.Row]]:
    """All entries, the newest first, some at a time; each page is a statement of its own: no snapshot is held."""
    before: int | None = None
    while page := list(db.run(sql.list_audit, rows_max=page_max, before_place=before)):
        before = page[0].place
        yield page[::-1]


def verify(known_head: str | None = None) -> Chain:
    """
    Recompute the chain, and name the first link that is not what was written.

    Args:
        known_head: a head that an earlier run gave, PLACE:HASH, kept outside: that link must still be the same.

    Raises:
        BadAudit: *known_head* is none.
    """
    known = known_head and re.fullmatch(r"([0-9]{1,18}):([0-9a-f]{64})", known_head.strip().lower())
    if known_head and not known:
        raise BadAudit.about("head", "--head is what an earlier `outbound audit verify` printed, like 812:9f86d0…")

    def read(connection: db.Connection) -> Chain:
        db.allow_minutes(connection, 15)
        head = sql.head(connection)
        found = sql.first_fault(connection)
        broken = Broken(found.place, found.entry, found.fault) if found else None
        if not broken and known and sql.link_at(connection, place=int(known[1])) != known[2]:
            broken = Broken(int(known[1]), "the head that was given", "changed")
        links, hash_ = (head.place, head.hash) if head else (0, "")
        return Chain(links, f"{links}:{hash_}", broken)

    return db.transact(read)
