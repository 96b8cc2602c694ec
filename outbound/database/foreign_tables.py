"""Finds what has the names of our tables in their schema and was not made by our migrations."""

import re

from outbound import db

sql = db.statements("database/foreign_tables")

FIRST_TABLES = ("business", "call_log", "leads")  # those of 0001: every upgrade starts from them
_NAMED_MAX = 3


def names(migrations: str) -> tuple[set[str], set[str]]:
    """The relations (tables, views, indexes) and the functions that the text of *migrations* makes."""
    relations = re.findall(
        r"create (?:table|or replace view|(?:unique )?index)(?: concurrently)?(?: if not exists)? (\w+)", migrations
    )
    return set(relations), set(re.findall(r"create or replace function (\w+)", migrations))


def found(connection: db.Connection, *, migrations: str, is_begun: bool) -> list[str]:
    """
    The names of what is there and not ours, the tables of 0001 first; nothing of it is locked or changed.

    Args:
        migrations: the text of all of them, which says what our names are.
        is_begun: the database has a record that 0001 was applied.  Then its tables must look as 0001 made them.
            Without that record nothing of ours can be there but what a killed 0001 left: its tables, without a row.
    """
    relations, functions = names(migrations)
    taken = sql.names_taken(connection, relations=sorted(relations), functions=sorted(functions))
    if is_begun:
        theirs = [row.name for row in taken if row.name in FIRST_TABLES and not row.is_made]
    else:
        theirs = [row.name for row in taken if not row.is_bare or _has_rows(connection, row.name)]
    return sorted(theirs, key=lambda name: (name not in FIRST_TABLES, name))


def _has_rows(connection: db.Connection, table: str) -> bool:
    """Has one of the tables of 0001 a row?  One that we may not read is somebody else's."""
    look = {"business": sql.has_business, "call_log": sql.has_call_log, "leads": sql.has_leads}[table]
    try:
        return bool(look(connection))
    except db.NotAllowed:
        return True


def sentence(schema: str, theirs: list[str]) -> str:
    """Return what is so, in words for an operator."""
    first = [name for name in theirs if name in FIRST_TABLES] or theirs[:_NAMED_MAX]
    more = len(theirs) - len(first)
    listed = ", ".join(first) + (f" and {more} more" if more else "")
    return f"the schema {schema} holds {listed}, which outbound did not make, and nothing of it was changed"


MEND = "run `outbound adopt`, which sets outbound up in a schema of its own beside them"
