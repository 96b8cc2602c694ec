"""Each function and view of the database is the text of its file in sql/functions and sql/views, and of no other."""

import re
from pathlib import Path

import pytest

from outbound import config, db
from outbound.settings_model import Settings
from tests.conftest import World

FUNCTIONS = sorted((db.sql_dir() / "functions").glob("*.sql"))
VIEWS = sorted((db.sql_dir() / "views").glob("*.sql"))
# A migration gives some functions a search_path beside their text: 0025, and those that make a security definer.
_FUNCTIONS = """
select oid::regprocedure::text as name, proname, pg_get_function_arguments(oid) as arguments,
       regexp_replace(pg_get_functiondef(oid), '\n SET search_path [^\n]*', '') as says
  from pg_proc
 where pronamespace = current_schema()::regnamespace
 order by 1
"""
_VIEWS = "select viewname::text as name, pg_get_viewdef(viewname::regclass) as says from pg_views"
_VIEWS += " where schemaname = current_schema() order by 1"
MEND = "write the new text in the next migration, the text before it in that one's rollback, and the file"


@pytest.mark.parametrize(("query", "files"), [(_FUNCTIONS, FUNCTIONS), (_VIEWS, VIEWS)], ids=["functions", "views"])
def test_what_the_migrations_make_is_what_the_files_say(world: World, query: str, files: list[Path]) -> None:
    made = world.rows(query)
    with world.connection.transaction(force_rollback=True):
        for file in files:
            world.do(file.read_text().replace("%", "%%"))
        written = world.rows(query)

    differing = [(old.name, new.name) for old, new in zip(made, written, strict=False) if old != new]
    assert differing == [], MEND
    assert len(made) == len(written), MEND


def test_each_of_them_has_a_file_of_its_name(world: World) -> None:
    functions = {row.proname for row in world.rows(_FUNCTIONS)}
    views = {row.name for row in world.rows(_VIEWS)}

    assert {file.stem for file in FUNCTIONS} == functions
    assert {file.stem for file in VIEWS} == views
    for file in [*FUNCTIONS, *VIEWS]:
        made = re.findall(r"^create or replace (?:function|view) (\w+)", file.read_text(), re.M)
        assert set(made) == {file.stem}


def test_what_a_function_takes_for_a_setting_is_that_setting_s_default(world: World) -> None:
    found = [
        (row.proname, name, float(value))
        for row in world.rows(_FUNCTIONS)
        for name, value in re.findall(r"(\w+) [a-z ]+ DEFAULT ([\d.]+)", row.arguments)
    ]
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    defaults |= {"worker_silent_s": config.WORKER_SILENT_S, "scheduler_silent_s": config.SCHEDULER_SILENT_S}

    assert {name for _, name, _ in found} - {"slowed_from"} <= set(defaults)
    assert [one for one in found if one[1] in defaults and one[2] != defaults[one[1]]] == []
    assert ("why_not_dialed", "claims_per_thread", 16.0) in found
