"""What a database must be for us to work on it, and the settings that its address asks for."""

import re

VERSION_MIN = 140_000  # PostgreSQL 14: SQL-standard function bodies, multiranges
_SETTING = re.compile(r"(?<!\S)(?:-c\s*|--)([\w.-]+)=((?:\\.|\S)*)", re.DOTALL)


class UnfitDatabase(RuntimeError):
    """The server or the database cannot hold our calls as it is: what is so (`said`), and how it is mended (`mend`)."""

    def __init__(self, said: str, mend: str) -> None:
        super().__init__(f"{said}: {mend}")
        self.said, self.mend = said, mend


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
            f"name one in DATABASE_URL, as in ?options=-csearch_path%3D{homes[0]}",
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
