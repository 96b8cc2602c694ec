"""A command line with manners: it answers programs too, and for every wrong input it says what to give."""

import io
import itertools
import json
import logging
import os
import pty
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from inspect import cleandoc
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, get_args

import pytest
import typer.main
from rich.cells import cell_len
from typer.main import get_command, get_group

from outbound import cli, config, logs, printing
from outbound.cli import app
from outbound.cli import help as cli_help
from outbound.processes import systemd_units
from tests.cli.test_logs import heard
from tests.conftest import Servers, World, open_database
from tests.wrong_inputs import WRONG_INPUTS

Outbound = Callable[..., subprocess.CompletedProcess[str]]

HELLO = "<Response/>"
HEBREW = "מרפאת הדר סניף חיפה"
# What runs until it is stopped, or hands the terminal to another program.
WITHOUT_JSON = {"worker", "scheduler", "web", "api", "up", "simulator", "psql", "webhook listen"}


@cache
def built(mode: str | None) -> Any:
    """The tree of commands, built once: that takes longer than most commands do."""
    return get_command(app.app)


def tree(_app: typer.Typer) -> Any:
    return built(app.app.rich_markup_mode)


def outbound_here(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Outbound:
    """The command in this process, which has started already."""
    monkeypatch.setattr(typer.main, "get_command", tree)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["outbound", *arguments])
        capfd.readouterr()
        with heard() as log, pytest.raises(SystemExit) as ended:
            app.main()
        said = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, int(ended.value.code or 0), said.out, said.err + log.getvalue())

    return run


@pytest.fixture
def outbound(shop: World, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Outbound]:
    """Run a command in this process; what it sets in the environment is taken back."""
    before = dict(os.environ)
    yield outbound_here(monkeypatch, capfd)
    os.environ.clear()
    os.environ.update(before)
    config.use(None)


@pytest.fixture(scope="module")
def shop(servers: Servers, template: str) -> Iterator[World]:
    """Two businesses, a campaign, a retry policy and a window, with names as people give them."""
    from outbound.calls import enqueue
    from outbound.rules import business, calling_window, campaign, retry_policy

    with open_database(servers, template) as url:
        world = World(url)
        us: dict[str, Any] = {"default_region": "US", "time_zone": "America/New_York", "twiml": HELLO}
        business.add("Acme Dental Clinics", phones=["+15005550006"], **us)
        business.add(HEBREW, phones=["+15005550007"], **us)
        retry_policy.add(1, "gentle", "busy: 5m; no-answer: 2h", per_day=1, per_week=2, actor="dana")
        limits = {"calls_per_second": 2.5, "live_max": 20, "priority": 2.0, "ends": "2030-12-31T18:00"}
        campaign.add(1, {"name": "Spring", "retry_policy": "gentle", **limits}, actor="dana")  # type: ignore[typeddict-item]
        campaign.add(2, {"name": "תזכורת לבדיקת אביב"}, actor="dana")
        calling_window.add_preset("us", actor="dana")
        calling_window.assign("business", 2, 1, actor="dana")
        enqueue.enqueue(business_id=1, to_number="+15005550101", key="k")
        yield world
        world.connection.close()


def commands() -> dict[str, Any]:
    """Every command by its words; a group is none by itself."""

    def walk(command: Any, path: str) -> Iterator[tuple[str, Any]]:
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk(inner, f"{path} {name}".strip())
        if not hasattr(command, "commands"):
            yield path, command

    return dict(walk(tree(app.app), ""))


# The tree.


def test_every_command_answers_programs_too() -> None:
    lacking = {
        name for name, command in commands().items() if not any("--json" in given.opts for given in command.params)
    }

    assert lacking == WITHOUT_JSON


@pytest.mark.parametrize("text", ["5_0", "+50", " 50", "\u0665\u0660", "1e2", "nan", "inf", "0x50", "50."])
def test_every_number_of_the_command_line_is_written_in_digits(text: str) -> None:
    numbers = [
        (command, given)
        for command in commands().values()
        for given in command.params
        if {int, float} & {given.type_descriptor.annotation, *get_args(given.type_descriptor.annotation)}
    ]

    assert len(numbers) > 20
    for command, given in numbers:
        value = [text] if get_args(given.type_descriptor.annotation) else text
        with pytest.raises(typer.BadParameter, match="in digits, like 50"):
            given.process_value(typer.Context(command), value)


def test_every_command_has_its_panel_and_every_parameter_its_help() -> None:
    panels = [name for names in cli_help.PANELS.values() for name in names]
    silent = [
        f"{name} {given.name}"
        for name, command in commands().items()
        for given in command.params
        if not (getattr(given, "help", None) or getattr(given, "hidden", False))
    ]

    assert sorted(panels) == sorted(declared())
    assert len(panels) == len(set(panels))
    assert silent == []


def test_the_help_says_of_each_command_what_the_command_itself_says() -> None:
    listed = {name: command for commands in cli_help.PANELS.values() for name, command in commands.items()}
    first_paragraphs = {
        name: (module, " ".join(cleandoc(command.help).split("\n\n")[0].split("\n")))
        for name, (module, command) in declared().items()
    }

    assert listed == first_paragraphs


def declared() -> dict[str, tuple[str, Any]]:
    """Every command that a file of outbound/cli declares, with the file's name."""
    modules = {found.name: import_module(f"outbound.cli.{found.name}") for found in iter_modules(cli.__path__)}
    return {
        name: (module, command)
        for module, content in modules.items()
        if hasattr(content, "commands")
        for name, command in get_group(content.commands).commands.items()
    }


def test_the_help_is_in_the_order_of_a_day_s_work(outbound: Outbound) -> None:
    done, short = outbound("--help"), outbound("-h")

    assert done.stdout == short.stdout
    places = [done.stdout.index(panel) for panel in cli_help.PANELS]
    assert places == sorted(places)
    assert outbound("campaign", "add", "-h").returncode == 0
    assert outbound("--version").stdout == outbound("version").stdout


def test_the_help_of_each_command_shows_the_names_of_its_options_whole(
    outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    cut = {}
    for name, command in commands().items():
        shown = outbound(*name.split(), "--help").stdout.split()
        listed = [given for given in command.params if not getattr(given, "hidden", False)]
        named = {one for given in listed for one in (*given.opts, *given.secondary_opts) if one[:2] == "--"}
        cut[name] = named - {*shown}

    assert not any(cut.values()), {name: names for name, names in cut.items() if names}


def test_completion_is_installed_and_completes(tmp_path: Path) -> None:
    program = systemd_units.this_program()
    env = os.environ | {"HOME": str(tmp_path)}

    def shell(script: str, **more: str) -> str:
        # `true`: without it the shell would become the program, which then finds no shell around it
        command = ["bash", "--norc", "-c", f"{script}; true"]
        return subprocess.run(command, env=env | more, capture_output=True, text=True, timeout=60, check=True).stdout

    shell(f"{program} --install-completion")
    assert any("outbound" in path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    words = shell(str(program), _OUTBOUND_COMPLETE="complete_bash", COMP_WORDS="outbound camp", COMP_CWORD="1")
    assert words.split() == ["campaign"]


# Wrong inputs.

PARTS = 4  # of the wrong inputs, each a test: a slow machine takes longer for all of them than one test may


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in {
        "calls.xlsx": b"PK\x03\x04" + b"\0" * 50,
        "fake.xlsx": b"to\n+15005550101\n",
        "bin.csv": b"\xff\xfe\x00\xd8abc",
        "empty.csv": b"",
        "headless.csv": b"a,b\n1,2\n",
        "good.csv": b"to\n+15005550101\n",
        "wrong.csv": b"to\n" + b"12\n" * 40,
    }.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("part", range(PARTS))
def test_a_wrong_input_is_told_what_to_give_and_changes_nothing(
    shop: World, outbound: Outbound, files: None, part: int
) -> None:
    changes = "select count(*), coalesce(max(id), 0) from audit_change"
    before = shop.rows(changes)
    of_every_command = ((f"{name} --wat", f"outbound {name} --help") for name in commands() if name != "psql")
    inputs = [*WRONG_INPUTS, *of_every_command]
    wrong = []

    for line, words in inputs[part::PARTS]:
        done = outbound(*shlex.split(line))
        said = done.stderr.splitlines() or [""]
        is_told = done.returncode == 2 and words in done.stderr and said[-1].startswith("outbound: ")
        if not is_told or "Traceback" in done.stderr or shop.rows(changes) != before:
            wrong.append((line, words, done.returncode, done.stderr))

    assert wrong == []


def test_what_was_looked_for_and_is_not_there_ends_with_1(outbound: Outbound) -> None:
    for line in ("suppress remove +15005550109 --everybody", "destination remove GB"):
        done = outbound(*line.split())

        assert done.returncode == 1
        assert done.stdout.startswith("nothing changed: ")


# What is printed.


# A command, what it says at first, and what it says of the same once more.
WRITING = (
    ("business set 1 --name 'Acme Dental'", "business 1 was changed: name", "nothing changed: business 1"),
    ("campaign set 1 --live-max 7", "campaign 1 was changed: live max", "nothing changed: campaign 1"),
    ("campaign set 1 --number +15005550008", "campaign 1 was changed: phones", "nothing changed"),
    ("retry-policy use --business 1 gentle", "business 1 has the retry policy gentle", "nothing changed: business 1"),
    ("window day 1 2030-12-25 --hours off", "2030-12-25 is closed now", "nothing changed: 2030-12-25"),
    ("window assign --window 1 --campaign 1", "campaign 1 keeps to window 1", "nothing changed: campaign 1"),
    ("suppress add +15005550188 --everybody", "added, 0 waiting calls", "there already"),
    ("consent revoke +15005550188 --business 1", "revoked", "nothing changed"),
    ("destination allow GB --business 2", "are allowed for business 2", "as before"),
    ("pause campaign 1", "campaign 1 is paused", "campaign 1 was paused already"),
    ("resume campaign 1", "campaign 1 goes on", "nothing changed: campaign 1 was not paused"),
)


def test_what_writes_says_what_it_did_or_that_nothing_changed_and_logs_nothing_between(outbound: Outbound) -> None:
    for line, first, again in WRITING:
        done, repeated, as_json = (outbound(*shlex.split(line), *more) for more in ((), (), ("--json",)))

        for answer, words in ((done, first), (repeated, again)):
            assert answer.returncode == 0, answer.stderr
            assert words in answer.stdout
            assert "event=" not in answer.stderr
        assert isinstance(json.loads(as_json.stdout), dict), line


def test_the_log_of_a_command_is_warnings_and_the_journal_gets_all(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream, level in ((None, logging.WARNING), ("8:1", logging.INFO)):
        monkeypatch.delenv("JOURNAL_STREAM", raising=False)
        if stream:
            monkeypatch.setenv("JOURNAL_STREAM", stream)
        with heard():
            logs.for_a_command()
            assert logging.getLogger().level == level


LISTS = (
    "business list",
    "campaign list",
    "campaign show 1",
    "retry-policy list",
    "window list",
    "control",
    "audit --last 9",
)


def test_each_list_is_legible_at_80_columns(outbound: Outbound, monkeypatch: pytest.MonkeyPatch) -> None:
    words: set[str] = set()
    add_row = printing.Table.add_row

    def noting(table: printing.Table, *cells: Any, **options: Any) -> None:
        texts = [str(one) for one in (*cells, *(column.header for column in table.columns)) if one is not None]
        words.update(word for text in texts for word in text.split() if cell_len(word) <= 24)
        add_row(table, *cells, **options)

    monkeypatch.setattr(printing.Table, "add_row", noting)
    monkeypatch.setattr(printing.out, "_width", 80)

    for line in LISTS:
        words.clear()
        done = outbound(*line.split())

        assert done.returncode == 0, done.stderr
        assert [shown for shown in done.stdout.splitlines() if cell_len(shown) > 80] == []
        assert [word for word in words if word not in done.stdout] == []


def test_campaigns_stand_in_a_table_of_80_columns(outbound: Outbound, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printing.out, "_width", 80)

    lines = outbound("campaign", "list").stdout.splitlines()

    assert "campaign" in lines[1]
    assert "until" in lines[1]
    assert len({cell_len(line) for line in lines}) == 1  # Hebrew does not move the frame


def test_a_row_too_wide_for_the_terminal_is_a_block_of_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(printing.out, "_width", 30)
    table = printing.Table("campaign", "business", "numbers")
    table.add_row("Reminders", "Clinics", "+15005550006")

    printing.out.print(table)

    said = capsys.readouterr().out
    for word in ("campaign", "Reminders", "business", "Clinics", "numbers", "+15005550006"):
        assert word in said


def test_what_a_terminal_cannot_show_is_escaped(shop: World, monkeypatch: pytest.MonkeyPatch, capfdbinary: Any) -> None:
    monkeypatch.setattr(typer.main, "get_command", tree)
    lines = ("business list", "campaign list", "business list --json", "--help", "import --help")
    for encoding, line in itertools.product(("ascii", "latin-1", "cp1255"), lines):
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
        monkeypatch.setattr(sys, "argv", ["outbound", *line.split()])

        with heard() as log, pytest.raises(SystemExit) as ended:
            app.main()

        said = capfdbinary.readouterr().out.decode(encoding)
        assert not ended.value.code, log.getvalue()
        assert said
        if line == "business list --json":
            assert [row["name"] for row in json.loads(said)][1] == HEBREW
        if line == "business list":
            assert (HEBREW.split()[1] if encoding == "cp1255" else "\\u05d4\\u05d3\\u05e8") in said


def test_no_color_means_none(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    env = os.environ | {"NO_COLOR": "1", "TERM": "xterm-256color"}
    with subprocess.Popen([str(systemd_units.this_program()), "-h"], stdout=theirs, stderr=theirs, env=env) as process:
        os.close(theirs)
        said = b""
        try:
            while part := os.read(ours, 65_536):
                said += part
        except OSError:  # how Linux says that the other end is closed
            pass
        assert process.wait(60) == 0
    os.close(ours)

    assert b"What is going on" in said
    assert not re.search(rb"\x1b\[[0-9;]*(3|4|9)[0-7]", said)
