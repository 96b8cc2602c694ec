"""What people see: a value is one line of visible characters, without markup and without a login."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from outbound import printing
from outbound.cli import app
from outbound.formats import plain_text
from tests import forked
from tests.cli.test_logs import heard
from tests.conftest import World

pytestmark = pytest.mark.rows_only

Outbound = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def outbound(database: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Outbound:
    """The command in this process, which has started already."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["outbound", *arguments])
        capfd.readouterr()
        with heard(), pytest.raises(SystemExit) as ended:
            app.main()
        said = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, int(ended.value.code or 0), said.out, said.err)

    return run


ODD = [
    "\x1b[31mred",
    "\x1b]0;title\x07",
    "\x9b31m",
    "\x00",
    "\x7f",
    "a\rb",
    "a\nb",
    "\u202egnp.exe",
    "\u2066x\u2069",
    "\u200fx\u200e",
    "\u061cx",
    "\ufeffx",
    "\u200bx",
    "\u00adx",
    "a\u2028b\u2029c",
    "\U000e0041",
    "a\x85b",
]
MARKUP = ["[/red] x", "[bold]x[/bold]", "[link=https://example.com]x[/link]", "[/]", "x[red", ":smile:", "\\[x]"]
UNSEEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
)


@pytest.mark.parametrize("text", ODD)
def test_a_value_is_one_line_of_visible_characters(text: str) -> None:
    shown = plain_text.visible(text)

    assert shown.isprintable()
    assert len(shown) > len(text)


@pytest.mark.parametrize("text", ["Dana Levi", "מרפאת הדר", "عيادة", "naïve ☎ 1½", "a\u00a0b", *MARKUP])
def test_what_can_be_seen_is_left_alone(text: str) -> None:
    assert plain_text.visible(text) == text
    assert plain_text.fault(text) is None


@pytest.mark.parametrize("text", [*ODD, *MARKUP])
def test_a_cell_shows_a_value_as_it_is(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    table = printing.Table("name", title=printing.cell(text))
    table.add_row(text)
    table.add_row(printing.cell("first", text))
    printing.out.print(table)
    printing.out.print(text)
    printing.tell(text)
    printing.say(text)

    said = capsys.readouterr()
    assert not UNSEEN.search(said.out + said.err)
    assert said.out.count(plain_text.visible(text)) >= 4
    assert said.err == plain_text.visible(text) + "\n"


@pytest.mark.parametrize("text", [*ODD, *MARKUP])
def test_json_says_the_same_and_shows_nothing_else(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    printing.tell_json({"name": text, "more": [(text, 1, None)]})

    said = capsys.readouterr().out
    assert not UNSEEN.search(said)
    assert said.count("\n") == 1
    assert json.loads(said) == {"name": text, "more": [[text, 1, None]]}


@pytest.mark.parametrize("url", ["https://user:hush@acme.example.com/voice", "https://hush@acme.example.com/voice"])
def test_a_login_is_never_printed(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    table = printing.Table("plays")
    table.add_row(url)
    printing.out.print(table)
    printing.tell(f"plays {url}")
    printing.tell_json({"plays": url, url: "a name of another hand"})

    said = capsys.readouterr().out
    assert "hush" not in said
    assert said.count("acme.example.com/voice") == 4


def test_nothing_else_prints() -> None:
    """A table of rich's own, or its markup, would bring the fault back."""
    for file in Path(printing.__file__).parent.rglob("*.py"):
        text = file.read_text()
        if file.name == "option_table.py":  # of the help, whose text is our own
            continue
        if file.name != "printing.py":
            assert "rich.markup" not in text, file
            assert "rich.table import Table" not in text, file
            assert "print_json" not in text, file


# The commands.

LISTS = [
    ["business", "list"],
    ["campaign", "list"],
    ["campaign", "show", "1"],
    ["retry-policy", "list"],
    ["window", "list"],
    ["window", "show", "1"],
    ["control"],
    ["audit"],
    ["suppress", "check", "+15005550101"],
    ["preview", "1"],
    ["why", "1"],
    ["calls"],
    ["call", "show", "1"],
    ["leads"],
    ["suppress", "list"],
    ["business", "show", "1"],
    ["campaign", "results", "1"],
]


@pytest.fixture
def odd(world: World) -> World:
    """Rows of a time when everything was let in."""
    world.business()
    world.queued(1)
    for text in ("[/red] x", "\x1b[31mx", "\u202ex\u2028y"):
        for query in (
            "update business set name = %s",
            "insert into retry_ladder values (default, 1, %s, 1, 1, now())",
            "insert into calling_window (name, hours, note) values (%s, '{[0,10080)}', '[/red]')",
            "insert into campaign (business_id, name) values (1, %s)",
            """insert into audit (who, action, scope, key, details) values (%s, 'x', '', '', '{"[/b]": "\\u001b"}')""",
            "insert into suppression (phone, reason) values ('+15005550101', %s) on conflict do nothing",
            "update dial_control set state = 'paused', state_reason = %s, state_since = now()",
        ):
            world.do(query, text)
    world.do("update business set voice_url = 'https://user:hush@acme.example.com/x', twiml = null")
    return world


@pytest.mark.parametrize("arguments", LISTS)
def test_every_list_shows_whatever_is_in_a_row(odd: World, outbound: Outbound, arguments: list[str]) -> None:
    for form in ([], ["--json"]):
        done = outbound(*arguments, *form)

        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        assert not UNSEEN.search(done.stdout + done.stderr)
        assert "hush" not in done.stdout
        if form:
            json.loads(done.stdout)


BAD = "a\u202eb"


@pytest.mark.parametrize(
    "arguments",
    [
        ["business", "add", "--twiml", "<Response/>", "--name", BAD],
        ["business", "set", "1", "--name", BAD],
        ["campaign", "add", "--business", "1", "--name", BAD],
        ["campaign", "add", "--business", "1", "--name", "x", "--by", BAD],
        [
            "retry-policy",
            "add",
            "--business",
            "1",
            "--steps",
            "busy: 5m",
            "--per-day",
            "1",
            "--per-week",
            "1",
            "--name",
            BAD,
        ],
        ["window", "add", "--hours", "mon 09:00-10:00", "--name", BAD],
        ["window", "add", "--hours", "mon 09:00-10:00", "--name", "x", "--note", BAD],
        ["pause", "everything", "--reason", BAD],
        ["pause", "everything", "--by", BAD],
        ["suppress", "add", "+15005550101", "--everybody", "--reason", BAD],
        ["suppress", "add", "+15005550101", "--everybody", "--by", BAD],
        ["consent", "give", "+15005550101", "--business", "1", "--source", BAD],
        ["enqueue", "--to", "+15005550101", "--business", "1", "--key", BAD],
        ["import", "none.csv", "--business", "1", "--batch", BAD],
        ["business", "list", BAD],
        ["business", f"--{BAD}"],
        [BAD],
    ],
)
def test_what_cannot_be_seen_is_refused_on_the_way_in_and_not_repeated(
    world: World, outbound: Outbound, arguments: list[str]
) -> None:
    world.business()

    done = outbound(*arguments)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert not UNSEEN.search(done.stdout + done.stderr)


def test_marks_that_a_spreadsheet_leaves_are_dropped_from_its_cells(
    world: World, outbound: Outbound, tmp_path: Path
) -> None:
    world.business()
    file = tmp_path / "calls.csv"
    file.write_text(
        "to,name,address,key\n"
        '\u202a+15005550101\u202c,\u200fדנה לוי\u200f,"Herzl 1\nHaifa",k1\n'
        "+15005550102,\u0645\u06cc\u200c\u062e\u0648\u0631\u0645,,\n"
        "+15005550103,\x1b[31mred,,\n"
    )

    done = outbound("import", str(file), "--business", "1")

    assert done.returncode == 1
    assert "line 5: field 1 of the contact holds a character that cannot be seen, U+001B: leave it out" in done.stderr
    contacts = world.rows(
        "select contact ->> 'name' as name, contact ->> 'address' as address from call_log order by id"
    )
    assert contacts == [("דנה לוי", "Herzl 1\nHaifa"), ("\u0645\u06cc\u200c\u062e\u0648\u0631\u0645", None)]
    assert world.value("select idempotency_key from call_log where id = 1") == "k1"


def test_a_do_not_call_number_is_kept_whatever_its_reason_holds(
    world: World, outbound: Outbound, tmp_path: Path
) -> None:
    file = tmp_path / "stop.csv"
    file.write_text('phone,reason\n+15005550101,"asked\n\x1b[31mtwice"\n')

    assert outbound("suppress", "import", str(file), "--everybody").returncode == 0
    assert world.rows("select reason from suppression") == [("asked \\x1b[31mtwice",)]


# Numbers out of range.

HUGE = ["1000000", "9223372036854775808", "9" * 40, "-1"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["purge", "--older-than-days"],
        ["audit", "--last"],
        ["why"],
        ["call", "show"],
        ["call", "retry"],
        ["calls", "--business"],
        ["calls", "--campaign"],
        ["preview"],
        ["campaign", "show"],
        ["window", "show"],
        ["business", "set", "--name", "x"],
        ["enqueue", "--to", "+15005550101", "--business"],
        ["enqueue", "--to", "+15005550101", "--campaign"],
        ["suppress", "add", "+15005550101", "--business"],
        ["suppress", "check", "+15005550101", "--business"],
        ["suppress", "add", "+15005550101", "--campaign"],
        ["consent", "give", "+15005550101", "--business"],
        ["window", "assign", "--business", "1", "--window"],
        ["window", "assign", "--window", "1", "--business"],
        ["window", "assign", "--window", "1", "--campaign"],
        ["retry-policy", "use", "x", "--business"],
        ["campaign", "add", "--name", "x", "--business"],
        ["campaign", "set", "--name", "x"],
        ["campaign", "add", "--business", "1", "--name", "x", "--registry-max-age-days"],
        ["campaign", "add", "--business", "1", "--name", "x", "--calls-per-second"],
        ["campaign", "add", "--business", "1", "--name", "x", "--live-max"],
        ["campaign", "add", "--business", "1", "--name", "x", "--priority"],
        [
            "retry-policy",
            "add",
            "--business",
            "1",
            "--name",
            "x",
            "--steps",
            "busy: 5m",
            "--per-week",
            "5",
            "--per-day",
        ],
        ["retry-policy", "add", "--business", "1", "--name", "x", "--per-day", "1", "--per-week", "5", "--steps"],
        ["preview", "1", "--call-s"],
        ["simulator", "--port"],
        ["simulator", "--speed"],
        ["pause", "business"],
        ["pause", "call"],
        ["limit", "call"],
        ["limit", "everything", "--calls-per-second"],
    ],
    ids=" ".join,
)
def test_a_number_out_of_range_is_a_clear_error(world: World, outbound: Outbound, arguments: list[str]) -> None:
    knows_nothing = arguments[:2] == ["suppress", "check"]
    for number in HUGE:
        is_option = arguments[-1].startswith("--")
        done = outbound(*arguments, *([number] if is_option or number != "-1" else ["--", number]))

        assert "Traceback" not in done.stderr
        assert done.returncode == 2 or (knows_nothing and done.returncode == 0), (number, done.stdout)


def test_what_a_command_says_when_it_is_not_understood_is_shown_like_all_else() -> None:
    done = forked.run("business", "list", "[/red]\x1b[31m")

    assert done.returncode == 2
    assert r"([/red]\x1b[31m)" in done.stderr
