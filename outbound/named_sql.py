"""The named statements of sql/, for whichever driver runs them: the only file that knows aiosql."""

import re
from collections.abc import Generator, Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import aiosql
from aiosql.adapters.pyformat import PyFormatAdapter

from outbound.shipped import shipped

T = TypeVar("T")
Row = Any  # an object whose attributes are the statement's columns


class Question(NamedTuple):
    """
    A statement with `%(name)s` in place of each parameter, and what stands for them: text, int, bool or None.

    Where it has no rows, nothing is waited for that it gives.
    """

    text: str
    parameters: dict[str, Any]
    has_rows: bool = True


# Work that asks the database and does no input or output itself: it yields questions and is sent the rows of each.
Work = Generator[Question, list[Row], T]


def sql_dir() -> Path:
    """Return where the statements are."""
    return shipped("sql", "sql")


class Adapter(PyFormatAdapter):
    """Names each statement to the server, and keeps its percent signs from being parameters."""

    def __init__(self, step: str, **cursor: Any) -> None:
        super().__init__(**cursor)  # type: ignore[no-untyped-call]
        self._step = step

    def process_sql(self, query_name: str, op_type: Any, sql: str) -> str:
        plain = re.sub("%", "%%", sql)  # the statements are plain SQL; psycopg would take their % for a parameter
        with_parameters = super().process_sql(query_name, op_type, plain)  # type: ignore[no-untyped-call]
        return f"/* {self._step}.{query_name} */ {with_parameters}"


class _Asker(Adapter):
    """Runs nothing: each statement, however its name ends, is a question."""

    def select(self, _connection: Any, _name: str, sql: str, parameters: Any, _record: Any = None) -> Any:
        return Question(sql, parameters)

    def select_one(self, *given: Any) -> Any:
        return self.select(*given)

    def select_value(self, *given: Any) -> Any:
        return self.select(*given)

    def insert_update_delete(self, *given: Any) -> Any:
        return self.select(*given)._replace(has_rows=False)


def load(step: str, adapter: Adapter) -> Any:
    """The named statements of one step, run by an adapter."""
    return aiosql.from_path(sql_dir() / f"{step}.sql", lambda: adapter, kwargs_only=True)


@cache
def _questions(step: str) -> Any:
    return load(step, _Asker(step))


class Questions:
    """The statements of a step as questions: `Questions("calls/reason").why(call_id=1)`."""

    def __init__(self, step: str) -> None:
        self._step = step

    def __getattr__(self, name: str) -> Any:
        """Give the statement of this name, which takes its parameters and returns a question."""
        statement = getattr(_questions(self._step), name)
        return lambda **parameters: statement(None, **{name: plain(value) for name, value in parameters.items()})


def plain(value: Any) -> Any:
    """A text or a number as it is compared, also where it is a member of an enumeration, which writes its name."""
    if isinstance(value, str):
        return str.__str__(value)
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value


def array(values: Iterable[object]) -> str:
    """
    A list as PostgreSQL writes its arrays, for a parameter that the statement casts: `:to_numbers::text[]`.

    psycopg would take a list as it is, and several times as long: it looks at each value twice.
    """
    given = list(values)
    elements = ["NULL" if value is None else f'"{value!s}"' for value in given]
    text = ",".join(elements)
    if "\\" in text or text.count('"') > 2 * (len(given) - elements.count("NULL")):
        text = ",".join("NULL" if value is None else _escaped(str(value)) for value in given)
    return f"{{{text}}}"


def _escaped(text: str) -> str:
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
