"""Checks that a database is one to work on, and applies the settings that its address asks for."""

import re
from urllib.parse import quote, unquote

from outbound.errors import UserError

VERSION_MIN = 140_000  # PostgreSQL 14: SQL-standard function bodies, multiranges
_SETTING = re.compile(r"(?<!\S)(?:-c\s*|--)([\w.-]+)=((?:\\.|\S)*)", re.DOTALL)


class UnfitDatabase(UserError):
    """The server or the database cannot hold our calls as it is: what is so (`text`), and how it is mended (`mend`)."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(f"{message}: {mend}")
        self.text, self.mend = message, mend


class SchemaMissing(UnfitDatabase):
    """The schema that OUTBOUND_SCHEMA names is not there."""


def refuse_unfit(version_num: int, encoding: str) -> None:
    """
    Refuse a server that is too old and a database that cannot hold every text.

    Args:
        version_num: as the server says it, such as 140005.
        encoding: of the database, such as UTF8.

    Raises:
        UnfitDatabase: with one line for the operator.
    """
    if version_num < VERSION_MIN:
        shown = f"{version_num // 10_000}.{version_num % 10_000}"
        raise UnfitDatabase(f"the server is PostgreSQL {shown}", "upgrade it to 14 or newer")
    if encoding != "UTF8":
        raise UnfitDatabase(
            f"the encoding of the database is {encoding}, which cannot hold every name",
            "make one with `create database … encoding 'UTF8' template template0`, and move the data there with"
            " pg_dump and pg_restore",
        )


def refuse_several_homes(homes: list[str] | None) -> None:
    """
    Refuse to choose among schemas that each hold our tables.

    Raises:
        UnfitDatabase: with one line for the operator.
    """
    if homes:
        raise UnfitDatabase(
            f"the schemas {', '.join(homes)} each hold outbound's tables",
            f"name one in OUTBOUND_SCHEMA, as in OUTBOUND_SCHEMA={homes[0]}",
        )


def refuse_another_schema(schema: str | None, path: str | None) -> None:
    """
    Refuse an address whose search_path names another schema than OUTBOUND_SCHEMA does, or more than that one.

    Raises:
        UnfitDatabase: with one line for the operator.
    """
    if schema is not None and path is not None and _named_in(path) != {schema}:
        raise UnfitDatabase(
            f"DATABASE_URL asks for search_path={path}, and OUTBOUND_SCHEMA says {schema}",
            "take search_path out of DATABASE_URL's options, or let both name the same schema alone",
        )


def _named_in(path: str) -> set[str]:
    """The schemas of a search_path, without those that PostgreSQL itself has."""
    names = [name.strip() for name in path.split(",")]
    folded = {name[1:-1] if name.startswith('"') else name.lower() for name in names}
    return folded - {"pg_temp", "pg_catalog"}


def refuse_missing_schema(schema: str, *, is_there: bool, is_usable: bool, elsewhere: list[str] | None) -> None:
    """
    Refuse to work where the schema that OUTBOUND_SCHEMA names is not there, or is closed to this role.

    Args:
        schema: its name.
        is_there: is there such a schema?
        is_usable: does this role have USAGE on it?
        elsewhere: other schemas that hold our tables: perhaps one of them was meant.

    Raises:
        SchemaMissing: with one line for the operator, which says what to run.
        UnfitDatabase: likewise.
    """
    if not is_there:
        others = f" (outbound's tables are in {', '.join(elsewhere)})" if elsewhere else ""
        message = f"there is no schema {schema} in this database{others}"
        raise SchemaMissing(message, "run `outbound migrate`, which makes it")
    if not is_usable:
        raise UnfitDatabase(
            f"this role may not use the schema {schema}", f"`grant usage on schema {schema} to …` as its owner"
        )


def settings_of(options: str) -> tuple[dict[str, str], str]:
    r"""
    The settings that libpq's `options` asks for, and what else it holds.

    A space or a backslash in a value stands behind a backslash, as PostgreSQL reads it.
    """
    found = {
        name.lower().replace("-", "_"): re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)
        for name, value in _SETTING.findall(options)
    }
    return found, _SETTING.sub("", options).strip()


def without_search_path(url: str) -> str:
    """The address of the same database, with all that its options ask for but search_path."""
    base, _, query = url.partition("?")
    pairs = [_pair_without_search_path(pair) for pair in query.split("&")]
    return "?".join(filter(None, [base, "&".join(filter(None, pairs))]))


def _pair_without_search_path(pair: str) -> str:
    name, _, value = pair.partition("=")
    if name != "options":
        return pair
    left = _SETTING.sub(lambda found: "" if "search_path" in settings_of(found[0])[0] else found[0], unquote(value))
    return f"options={quote(left.strip(), safe='')}" if left.strip() else ""
