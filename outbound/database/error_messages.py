"""Says what an error of the database means to an operator: one line that says what is so, and what to do about it."""

import re
from typing import NamedTuple

from outbound.formats import urls

_NO_ANSWER = "the database does not answer"
_CHECK = "check DATABASE_URL"
_LATER = "try again when it is up; `outbound doctor` says whether it is"
_BUSY = "try again; `select pid, state, query_start from pg_stat_activity` shows who is at work"

# SQLSTATE or its class: what is so, and the mend.  What is not here is a fault of ours, and keeps its traceback.
_BY_STATE = {
    "08": (_NO_ANSWER, _LATER),
    "0A000": ("the schema has just changed", "try again"),
    "22021": ("the database cannot hold this text", "write it in UTF-8, without zero bytes"),
    "22P05": ("the database cannot hold this text", "let its encoding be UTF8"),
    "25006": (
        "the database takes no writes",
        "let DATABASE_URL lead to the primary (target_session_attrs=read-write), or free what made it read-only",
    ),
    "26000": ("the session is not ours alone", "a pooler needs pool_mode = session"),
    "28": ("the database does not let us in", f"give it the right user and password: {_CHECK}"),
    "3D000": ("there is no such database", f"`create database …`, or {_CHECK}"),
    "3F000": ("the schema is not there", f"`create schema …`, or {_CHECK}"),
    "40": ("the database gave up a transaction for another one", "try again"),
    "42501": (
        "this role may not do that in the database",
        "`grant` it what is missing, or let DATABASE_URL name the owner of the tables",
    ),
    "42703": ("the schema is not what this version needs", "`outbound migrate`, then `outbound doctor`"),
    "42704": ("the schema is not what this version needs", "`outbound migrate`, then `outbound doctor`"),
    "42883": ("the schema is not what this version needs", "`outbound migrate`, then `outbound doctor`"),
    "42P01": ("the schema is not what this version needs", "`outbound migrate`, then `outbound doctor`"),
    "42P05": ("the session is not ours alone", "a pooler needs pool_mode = session"),
    "53100 shared memory": (
        "the database server's /dev/shm is full",
        "make it larger on its host, `docker run --shm-size=256m …`, then try again",
    ),
    "53100": ("the database's disk is full", "free space on the database server, then try again"),
    "53200": ("the database is out of memory", "free memory on the database server, then try again"),
    "53300": ("the database has too many connections", "raise max_connections, or end idle ones"),
    "53": ("the database lacks resources", "look at the database server's log"),
    "55P03": ("a lock is held by somebody else", _BUSY),
    "57014": ("the database gave up a statement", _BUSY),
    "57": ("the database ended the connection", _LATER),
    "25P03": ("the database ended the connection", _LATER),
    "25P04": ("the database ended the connection", _LATER),
    "58": ("the database server has trouble with its files", "look at the database server's log"),
    "XX": ("the database server has trouble of its own", "look at the database server's log"),
}

# Where no connection was made there is no SQLSTATE, only the server's words; in another language the last line counts.
_BY_WORDS = (
    (r"password authentication failed|no password supplied|role .* does not exist|authentication failed", "28"),
    (r"no pg_hba\.conf entry", "28"),
    (r"database .* does not exist|no such database", "3D000"),
    (
        r"too many (clients|connections)|remaining connection slots|no more connections allowed|query_wait_timeout",
        "53300",
    ),
    (r"permission denied for database", "42501"),
    (r"session is read-only|session is not read-only|is in hot standby mode|not in hot standby", "25006"),
)


class Words(NamedTuple):
    """The words for an operator: what is so, and what to do about it."""

    text: str
    mend: str


def words_of(error: BaseException) -> Words | None:
    """
    Return what an error of psycopg means to an operator; None where it is a fault of ours.

    No row's content and no password is in it.
    """
    state = getattr(error, "sqlstate", None)
    text = _first_line(error)
    if state is None:
        return _without_state(error, text)
    if state == "53100" and "shared memory" in text:  # which is not on the disk
        state = "53100 shared memory"
    found = _BY_STATE.get(state) or _BY_STATE.get(state[:2])
    return Words(f"{found[0]}: {text}", found[1]) if found else None


def line_of(error: BaseException) -> str | None:
    """The words of an error in one line; see `words_of`."""
    words = words_of(error)
    return f"{words.text}; {words.mend}" if words else None


def _without_state(error: BaseException, text: str) -> Words | None:
    if "unsupported startup parameter" in text:
        return Words(
            f"the pooler refuses the connection: {text}", "add `ignore_startup_parameters = options` to pgbouncer.ini"
        )
    for words, state in _BY_WORDS:
        if re.search(words, text, re.IGNORECASE):
            message, mend = _BY_STATE[state]
            return Words(f"{message}: {text}", mend)
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "DataError" in kinds:
        return Words(f"the database cannot hold this text: {text}", "write it without zero bytes")
    if "OperationalError" in kinds:
        return Words(f"{_NO_ANSWER}: {text}", _CHECK)
    if "ProgrammingError" in kinds and re.search(r"connection (option|info|string)|URI|conninfo", text):
        return Words(
            f"DATABASE_URL cannot be read: {text}", "write it as postgresql://user:password@host:5432/database"
        )
    return None


def _first_line(error: BaseException) -> str:
    """The server's first line, which holds no row; a DETAIL may."""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    lines = [line.strip() for line in str(primary or error).splitlines() if line.strip()]
    return urls.without_password(lines[0]) if lines else type(error).__name__
