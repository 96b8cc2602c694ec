"""Every statement runs against a migrated database, and Python and SQL mean the same by a status."""

import ast
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from outbound import db
from outbound.call import FINAL, IN_THE_AIR, RINGING, STATUSES, WAITING
from outbound.calls import call_search
from outbound.rules import retry_policy
from tests import old_system
from tests.conftest import World

SQL = db.sql_dir()
SCHEMA = {"migrations", "functions", "views", "schema.sql"}  # what the database is made of, not what is asked of it
FILES = sorted(file for file in SQL.rglob("*.sql") if not SCHEMA & set(file.relative_to(SQL).parts))
PACKAGE = Path(db.__file__).parent


def step_of(file: Path, root: Path) -> str:
    """`calls/dial`, of sql/calls/dial.sql or outbound/calls/dial.py."""
    return file.relative_to(root).with_suffix("").as_posix()


STATEMENTS = [
    (step_of(file, SQL), name) for file in FILES for name in re.findall(r"^-- name: (\w+)", file.read_text(), re.M)
]


LINES_MAX = 100  # of one statement, without comments
LONGER = {"roles": 115, "functions/is_number_shape": 134}  # a script, and one regular expression

PAGE_SCREENS = {f"page/screens/{path.name}" for path in (PACKAGE / "page/screens").glob("*.py")}
PAGE_SCREENS -= {"page/screens/__init__.py"}

# The old system's Redis is another server than the broker; these read it and move what lies there.
API = {f"api/{path.name}" for path in (PACKAGE / "api").glob("*.py")} - {
    "api/__init__.py",
    "api/commands.py",
    "api/__main__.py",
    "api/models.py",
}
OLD_REDIS = {
    f"adopt/{name}.py"
    for name in (
        "messages", "old_dialer", "old_keys", "old_move", "old_queues", "old_redis", "old_workers", "take_over",
    )
}  # fmt: skip
# What a statement about the tables of a system before is given: NULL names no schema.
GIVEN = {"old_schema": "before", "added": "{}"}


def try_statement(connection: psycopg.Connection[Any], step: str, name: str) -> None:
    """Run a statement, with NULLs where nothing else is needed, and take it back; one that is not understood fails."""
    statement = getattr(db.statements(step), name)
    with connection.transaction(force_rollback=True):
        if re.match("adopt/|checks/verify_old", step):
            connection.execute(b"create schema before; set local search_path to before")
            connection.execute(old_system.tables_sql("whole").encode())
            connection.execute(b"reset search_path; select make_old_views('before')")
        parameters = re.findall(r"%\((\w+)\)s", statement.sql)
        with suppress(psycopg.IntegrityError):  # NULLs where there may be none; the statement itself was understood
            statement(connection, **{parameter: GIVEN.get(parameter) for parameter in parameters})


@pytest.mark.rows_only
@pytest.mark.parametrize(("step", "name"), STATEMENTS)
def test_every_statement_runs_on_the_schema_that_the_migrations_make(world: World, step: str, name: str) -> None:
    try_statement(world.connection, step, name)


def test_every_statement_is_used_and_every_used_statement_exists() -> None:
    texts = {module: module.read_text() for module in PACKAGE.rglob("*.py")}
    own = {
        module: loaded[1]
        for module, text in texts.items()
        if (loaded := re.search(r'^sql = (?:(?:db\.)?statements|Questions)\("([\w/]+)"\)', text, re.M))
    }
    steps = {module.stem: step for module, step in own.items()}
    used = set()
    for module, text in texts.items():
        aliases = {"sql": own[module]} if module in own else {}
        for home, alias in re.findall(r"^from outbound\.(?:\w+\.)*(\w+) import .*\bsql\b(?: as (\w+))?$", text, re.M):
            aliases[alias or "sql"] = steps[home]
        used |= {
            (aliases[alias], name)
            for alias, name in re.findall(r"(?<![\w.])(\w+)\.([a-z_]+)\b", text)
            if alias in aliases and name != "sql"
        }
        used |= {(steps[home], name) for home, name in re.findall(r"\b(\w+)\.sql\.([a-z_]+)\b", text) if home in steps}

    assert used == set(STATEMENTS)


def readers(step: str) -> set[str]:
    """The modules that load a file of statements."""
    modules = (path for path in PACKAGE.rglob("*.py") if f'statements("{step}")' in path.read_text())
    return {str(path.relative_to(PACKAGE.parent)) for path in modules}


def test_each_sql_file_belongs_to_the_module_of_its_name() -> None:
    for file in FILES:
        if file.name == "roles.sql":
            continue  # a script of psql's, which `outbound roles` runs as a whole
        reader = re.search(r"Read by (outbound/[\w/.]+?)(?: |,)", file.read_text())
        assert reader is not None, file.name
        assert (PACKAGE.parent / reader[1]).exists(), file.name
        module, step = (
            step_of(PACKAGE.parent / reader[1], PACKAGE).replace("page/screens/", "page/"),
            step_of(file, SQL),
        )
        assert step.startswith(module) or module == f"{step}s", file.name  # screens/calls.py reads page/call.sql
        if f"{reader[1]} alone" in file.read_text():
            assert all(one.startswith(reader[1]) for one in readers(step)), file.name


def test_python_and_sql_know_the_same_statuses_in_the_same_order(world: World) -> None:
    check = world.value("select pg_get_constraintdef(oid) from pg_constraint where conname = 'call_log_status'")
    in_sql = re.findall(r"'([a-z-]+)'::text", check)

    ranks = [world.value("select call_status_rank(%s)", status) for status in STATUSES]

    assert sorted(in_sql) == sorted(STATUSES)
    assert ranks == [*range(len(WAITING + IN_THE_AIR)), *[5] * len(FINAL)]
    assert world.value("select call_status_rank('ended')") is None


def test_the_live_index_holds_the_statuses_that_are_not_final(world: World) -> None:
    index = world.value(
        "select pg_get_expr(indpred, indrelid) from pg_index where indexrelid = 'call_log_one_live'::regclass"
    )

    assert sorted(re.findall(r"'([a-z-]+)'::text", index)) == sorted(["outbound", *WAITING, *IN_THE_AIR])


def _lengths() -> dict[str, int]:
    """Lines that are code, of each statement, function and view; a file without names is one statement."""
    files = [file for file in SQL.rglob("*.sql") if file.name != "schema.sql" and file.parent.name != "migrations"]
    found: dict[str, int] = {}
    for file in files:
        text = file.read_text()
        _, *named = re.split(r"^-- name: (\w+).*$", text, flags=re.M)
        for name, body in zip(named[::2], named[1::2], strict=True) if named else [("", text)]:
            lines = [line for line in body.splitlines() if line.strip() and not line.lstrip().startswith("--")]
            found[f"{step_of(file, SQL)} {name}".strip()] = len(lines)
    return found


def test_no_statement_is_longer_than_a_hundred_lines_but_for_those_named_here() -> None:
    assert {name: lines for name, lines in _lengths().items() if lines > LONGER.get(name, LINES_MAX)} == {}


def test_each_list_of_statuses_in_sql_is_a_set_that_python_names() -> None:
    named = [WAITING, IN_THE_AIR, FINAL, WAITING + IN_THE_AIR, ("claimed", *IN_THE_AIR), call_search.CANCELABLE]
    named += [RINGING, ("claimed", "initiated"), (*retry_policy.OUTCOMES, "canceled")]
    known = {frozenset(statuses) for statuses in named}
    for file in [*FILES, *(SQL / "functions").iterdir(), *(SQL / "views").iterdir()]:
        for listed in re.findall(r"\b(?:status|was) (?:not )?in\s*\(('[a-z-]+'(?:,\s*'[a-z-]+')+)\)", file.read_text()):
            statuses = frozenset(re.findall(r"[a-z-]+", listed))
            assert statuses in known or not statuses <= set(STATUSES), f"{file.name}: {listed}"


def test_no_statement_holds_what_aiosql_would_mistake_for_a_parameter() -> None:
    for file in FILES:
        for number, line in enumerate(file.read_text().splitlines(), 1):
            code, _, comment = line.partition("--")
            assert not (code.strip() and re.search(r":\w", comment)), (
                f"{file.name}:{number} a colon in a trailing comment"
            )
            assert not re.search(r"\[\d+:\d+\]", line), f"{file.name}:{number} an array slice"
            assert "$$" not in line, f"{file.name}:{number} a function belongs in sql/functions and a migration"
            assert not re.search(r"^-- name: \w+.*<!", line), f"{file.name}:{number} <! gives back one row of many"


def test_only_one_file_knows_each_foreign_library() -> None:
    homes = {
        "psycopg": {"db.py"},
        "psycopg_pool": {"db.py"},
        "aiosql": {"named_sql.py"},
        "yoyo": {"database/migrations.py"},
        "twilio": {
            *("carrier/twilio.py", "carrier/twilio_http.py", "carrier/twilio_rest.py", "carrier/twilio_webhooks.py"),
            "simulator/callback_sender.py",
        },
        "aiohttp": {
            *("carrier/twilio.py", "carrier/twilio_http.py", "webhooks/http_client.py"),
            *("simulator/callback_sender.py", "simulator/rest_api.py", "simulator/server.py"),
        },
        "apscheduler": {"processes/scheduler.py"},
        "prometheus_client": {"monitoring/metrics.py", "monitoring/process_counters.py"},
        "fastapi": API
        - {
            "api/background.py",
            "api/bodies.py",
            "api/calls.py",
            "api/context.py",
            "api/event_stream.py",
            "api/json_body.py",
            "api/new_calls.py",
            "api/path_numbers.py",
            "api/preference.py",
            "api/problem.py",
            "api/server.py",
            "api/tenant_view.py",
            "api/tenants.py",
        }
        | {"page/app.py"},
        "starlette": {"web/app.py", "web/callbacks.py", "web/presence.py", "web/batcher.py", "web/server.py"}
        | {"api/app.py", "api/context.py", "api/event_stream.py", "api/files.py", "api/json_body.py"}
        | {"api/new_calls.py"}
        | {"api/path_numbers.py", "api/preference.py", "api/problem.py", "api/route.py", "api/server.py"}
        | PAGE_SCREENS
        | {
            f"page/{name}.py"
            for name in ("app", "clock", "download", "inner_api", "live", "now_reader", "render", "route")
        }
        | {f"page/{name}.py" for name in ("same_origin", "session", "signing_in", "visit")},
        "jinja2": {"page/render.py"},
        "babel": {"page/words.py"},
        "uvicorn": {"api/server.py", "web/app.py", "web/protocol.py", "web/server.py"},
        "dramatiq": {
            "broker/__init__.py",
            "broker/log_context.py",
            "broker/redis_broker.py",
            "processes/dramatiq_master.py",
            "processes/worker.py",
        },
        "redis": {"broker/__init__.py", "broker/redis_broker.py", "broker/redis_client.py"} | OLD_REDIS,
        "phonenumbers": {"formats/numbering_plan.py"},
        "holidays": {"rules/calling_window_presets.py"},
        "openpyxl": {"formats/workbook.py"},
    }
    found: dict[str, set[str]] = {library: set() for library in homes}
    for module in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for name in names:
                if name.split(".")[0] in found:
                    found[name.split(".")[0]].add(module.relative_to(PACKAGE).as_posix())

    assert found == homes
