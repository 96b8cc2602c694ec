"""docs/api.md: what applications may use is written there as it is, and its SQL runs."""

import ast
import dataclasses
import inspect
import re
from collections.abc import Callable
from typing import Any, get_args

import pytest

import outbound
from tests.conftest import World
from tests.test_docs import sections, text

PAGE = "docs/api.md"


def fields_of(kind: Any) -> list[str]:
    """The fields of a record, be it a dataclass or a named tuple."""
    return (
        [field.name for field in dataclasses.fields(kind)]
        if dataclasses.is_dataclass(kind)
        else list(getattr(kind, "_fields", ()))
    )


FUNCTIONS = [name for name in outbound.__all__ if inspect.isfunction(getattr(outbound, name))]
RECORDS = [name for name in outbound.__all__ if fields_of(getattr(outbound, name))]


def body_of(name: str) -> str:
    return next(section.body for section in sections(PAGE) if section.title.strip("`") == name)


def rows_of(name: str) -> list[str]:
    return re.findall(r"^\| `(\w+)` \| .+ \|$", body_of(name), re.M)


def as_written(parameter: inspect.Parameter) -> tuple[str, bool, str | None]:
    """Its name, whether it is given by name alone, and its default as the page writes it."""
    if parameter.default is inspect.Parameter.empty:
        default = None
    else:
        default = "..." if callable(parameter.default) else repr(parameter.default)
    return parameter.name, parameter.kind is inspect.Parameter.KEYWORD_ONLY, default


def written(name: str) -> tuple[list[tuple[str, bool, str | None]], str]:
    """The parameters and the result of a function as the page has them."""
    block = re.findall(r"^```python\n(.*?)^```$", body_of(name), re.M | re.S)[0]
    function = ast.parse(block).body[0]
    assert isinstance(function, ast.FunctionDef)
    assert function.name == name
    assert function.returns is not None
    given = function.args
    plain = [None] * (len(given.args) - len(given.defaults))
    defaults = [*plain, *map(ast.unparse, given.defaults)]
    first = [(one.arg, False, default) for one, default in zip(given.args, defaults, strict=True)]
    named = [
        (one.arg, True, None if default is None else ast.unparse(default))
        for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)
    ]
    return first + named, ast.unparse(function.returns)


def result_of(function: Callable[..., Any]) -> str:
    """What a function returns, as its own text and the page write it."""
    result = inspect.get_annotations(function)["return"]
    return (
        result.__name__ if isinstance(result, type) and not get_args(result) else re.sub(r"[a-z_]+\.", "", str(result))
    )


def test_what_is_exported_is_on_the_page_and_nothing_else() -> None:
    titles = [section.title.strip("`") for section in sections(PAGE) if section.level == 3]

    assert sorted(titles) == sorted(outbound.__all__)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_signature_is_written_as_it_is(name: str) -> None:
    function: Callable[..., Any] = getattr(outbound, name)
    signature = inspect.signature(function)

    assert written(name) == (
        [as_written(parameter) for parameter in signature.parameters.values()],
        result_of(function),
    )
    assert rows_of(name) == list(signature.parameters)


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_has_the_fields_that_are_written(name: str) -> None:
    assert rows_of(name) == fields_of(getattr(outbound, name))


def test_every_argument_that_the_page_explains_is_explained_in_the_docstring_too() -> None:
    for name in FUNCTIONS:
        function = getattr(outbound, name)
        for parameter in inspect.signature(function).parameters:
            assert re.search(rf"^ +(?:\w+, )*{parameter}(?:, \w+)*: ", function.__doc__, re.M), f"{name}: {parameter}"


def test_the_sql_of_the_page_runs(world: World) -> None:
    world.simulated()
    business_id = world.business(phone="+15005550100")
    blocks = re.findall(r"^```sql\n(.*?)^```$", text(PAGE), re.M | re.S)

    assert blocks
    assert business_id == 1
    for block in blocks:
        world.do(block.replace("'+15005550006'", "'+15005550100'"))
    numbers = world.rows("select to_number, status from call_log order by id")
    assert numbers == [(f"+1500555010{n}", "queued") for n in (1, 2, 3)]


def promised() -> dict[str, list[str]]:
    """The names in the database that are promised to stay, by their kind."""
    rows = re.findall(r"^\| ([\w ]+) \| (`.+) \|$", body_of("What stays"), re.M)
    return {kind: re.findall(r"`(\w+)`", names) for kind, names in rows}


def test_what_is_promised_to_stay_is_in_the_database(world: World) -> None:
    public = promised()
    columns = "select attname from pg_attribute where attrelid = %s::regclass"
    found = {row.attname for row in world.rows(columns, public["table"][0])}
    assert set(public["columns to write"] + public["columns to read"]) <= found
    for name in public["functions"]:
        comments = world.rows("select obj_description(oid) as comment from pg_proc where proname = %s", name)
        assert [bool(row.comment) for row in comments] == [True], name
    for name in public["views"]:
        assert world.value("select relkind = 'v' from pg_class where relname = %s", name)
    queueing = world.value("select prosrc from pg_proc where proname = 'queue_calls'")
    assert f"pg_notify('{public['channel'][0]}'" in queueing
    given = re.search(r"Columns that an application may give: (.+?)\. `", text(PAGE), re.S)
    assert given is not None
    assert re.findall(r"`(\w+)`", given[1]) == public["columns to write"]
