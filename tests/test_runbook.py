"""
The runbooks as an operator uses them: each command that stands in a code block, typed as it is written.

`make runbook` does so on a booted Debian, and causes each alert (tests/runbook).  Here is what takes seconds.
"""

import re
import shlex
from typing import Any

import psycopg
import pytest
from typer.main import get_command

from outbound.cli.app import app
from outbound.database import migrations
from tests import ROOT
from tests.conftest import World
from tests.runbook import causes, commands
from tests.test_docs import HEBREW, RUNBOOKS, alerts, anchor, both_runbooks, prose, sections, text

PROGRAMS = {
    *(
        "outbound",
        "systemctl",
        "journalctl",
        "curl",
        "redis-cli",
        "docker",
        "sudo",
        "install",
        "yoyo",
        "pg_dump",
        "pg_restore",
    ),
    *("tar", "rm", "mkdir", "printf", "tee", "head", "set", "export", "."),
}
UNITS = {path.name for path in (ROOT / "ops" / "systemd").iterdir() if path.is_file()}
FOREIGN_UNITS = ("redis", "valkey")
# One word for one thing: what was said otherwise, and what is said.
WORDS = {
    "דיפלוי": "פריסה",
    "לירות": "מופעלת",
    "יורה": "מופעלת",
    "דדליין": "מועד אחרון",
    "אפליקצי": "יישום",
    "המדד ": "המטריקה",
    "בצרות": "תקלה אצל הספק",
    "של היעד": "של הנמען",
    "אצל היעד": "אצל הנמען",
    "אסימון": "טוקן",
    "נתפס": "נלקחה",
    "חוטי עבודה": "threads",
    "מארח": "שרת",
    "משחררים קמפיין": "מחדשים קמפיין",
    "אל־תתקשרו": "לא להתקשר",
    "טיקט": "ticket",
    "הצידה": "מהתור",
    "קוד קצר": "מספר מקוצר",
    "תורות": "תורים",
    "בייט": "בתים",
    "תקרת": "מגבלת",
    "הגיע זמנ": "הגיע מועד",
    "נקרא כאן": "נתמך כאן",
    "תחת השם": "בשם",
}


def shell_commands() -> list[str]:
    return [command.text for name in RUNBOOKS for command in commands.of(text(name)) if command.language == "sh"]


def test_both_runbooks_have_the_same_commands_in_the_same_order() -> None:
    english, hebrew = ([(one.language, one.text) for one in commands.of(text(name))] for name in RUNBOOKS)

    assert english == hebrew
    assert len(english) > 150  # they are found at all


def test_make_runbook_causes_each_alert() -> None:
    assert sorted(causes.CAUSES) == sorted(alerts())


@both_runbooks
def test_what_make_runbook_does_about_an_alert_is_what_its_section_says(name: str) -> None:
    bodies = {anchor(section.title): section.body for section in sections(name)}

    for alert, cause in causes.CAUSES.items():
        own = bodies[alert.lower()]
        linked = "".join(bodies[place] for place in re.findall(r"\]\(#([^)]+)\)", own))
        for command in cause.do:
            assert f"`{command}`" in own + linked, f"{name}, {alert}: {command}"


@pytest.mark.parametrize("command", sorted(set(shell_commands())))
def test_every_command_starts_a_program_that_there_is_with_arguments_that_it_takes(command: str) -> None:
    for part in re.split(r" && | \| ", command):
        words = [word for word in shlex.split(part) if not re.match(r"[A-Z_]+=", word)]
        if not words:  # a setting for the lines after it
            continue
        program, *arguments = words
        assert program in PROGRAMS, f"{program}: which package has it?"
        if program == "docker":
            assert " ".join(arguments[:3]) == "compose -f ops/compose.yaml"
            words = words[words.index("outbound") :] if "outbound" in words else []
        if words[:1] == ["outbound"]:
            parse(words[1:])
        if program == "systemctl" and arguments[0] != "daemon-reload":
            for unit in (word for word in arguments[1:] if not word.startswith("-")):
                assert known_unit(unit), f"{unit} is no unit of outbound"
        if program == "journalctl":
            for unit in re.findall(r"-u (\S+)", " ".join(arguments)):
                assert known_unit(unit), f"{unit} is no unit of outbound"


def parse(arguments: list[str]) -> None:
    """Let the program's own command line read it; nothing is run."""
    command: Any = get_command(app)
    context = command.make_context("outbound", list(arguments))
    while hasattr(command, "commands") and (rest := [*context._protected_args, *context.args]):
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("name", ["README.md", "docs/rules.md", "docs/import.md"])
def test_the_commands_of_a_page_take_the_arguments_that_it_gives_them(name: str) -> None:
    page = text(name).replace("\\\n", "")  # a line that goes on is one command
    given = [shlex.split(one.text, comments=True) for one in commands.of(page) if one.language == "sh"]
    ours = [words[1:] for words in given if words[0] == "outbound"]

    assert ours
    for arguments in ours:
        parse(arguments)


def known_unit(name: str) -> bool:
    unit = re.sub(r"@[\d*]+", "@", name)
    if name.startswith(FOREIGN_UNITS) or name == "outbound-*":
        return True
    return bool({unit, f"{unit}.service"} & UNITS)


@both_runbooks
def test_nothing_restarts_units_by_a_pattern_which_finds_none_of_those_that_stand_still(name: str) -> None:
    found = re.findall(r"systemctl (?:re)?(?:start|stop|load)[^`\n]*\*[^`\n]*", text(name))

    assert not found


def test_every_query_runs_on_a_migrated_database(world: World) -> None:
    for query in (one.text for one in commands.of(text(RUNBOOKS[0])) if one.language == "sql"):
        if query.startswith("select pg_terminate_backend"):
            continue  # of the backend that has that number
        world.connection.execute("begin")
        try:
            world.connection.execute("create schema if not exists outbound")
            for role in ("application", "owner", "reader", "voice"):
                world.connection.execute(f"create role outbound_{role}")
            for role in ("dialer", "dialer_owner", "dialer_app", "dialer_reader"):
                if f"create user {role} " not in query and f"create role {role} " not in query:
                    world.connection.execute(f"create role {role}")
            if query.startswith("create schema"):
                world.connection.execute("drop schema outbound")
            world.connection.execute(query.encode())
        except (psycopg.errors.InvalidCatalogName, psycopg.errors.InsufficientPrivilege):
            assert "database outbound" in query  # another name here
        finally:
            world.connection.execute("rollback")


@both_runbooks
def test_the_table_of_what_a_rollback_loses_has_each_migration_that_drops_something(name: str) -> None:
    title = {"ops/runbook.md": "Roll back", "ops/runbook.he.md": "חזרה לגרסה קודמת"}[name]
    body = next(section.body for section in sections(name) if section.title == title)
    told: set[str] = set()
    for row in re.findall(r"^\| (\d{4}[^|]*) \|", body, re.M):
        numbers = [int(number) for number in re.findall(r"\d{4}", row)]
        is_a_range = re.search(r" (?:to|עד) ", row)
        told |= {f"{n:04d}" for n in (range(numbers[0], numbers[-1] + 1) if is_a_range else numbers)}

    lossy = {migration[:4] for migration in migrations.known_migrations() if migrations.losses_of(migration)}
    assert lossy <= told, f"{name} does not say what is lost with {sorted(lossy - told)}"
    assert told <= {migration[:4] for migration in migrations.known_migrations()}


@pytest.mark.parametrize("name", HEBREW)
def test_one_thing_has_one_word_in_hebrew(name: str) -> None:
    wrong = {word: better for word, better in WORDS.items() if word in prose(text(name))}

    assert not wrong, f"{name}: instead of each left one, the right one: {wrong}"


@pytest.mark.parametrize("path", ["outbound/page/words/he.json", "outbound/translation/sentences.he.json"])
def test_the_page_and_the_refusals_have_the_words_of_the_documents(path: str) -> None:
    wrong = {word: better for word, better in WORDS.items() if word in text(path)}

    assert not wrong, f"{path}: instead of each left one, the right one: {wrong}"
