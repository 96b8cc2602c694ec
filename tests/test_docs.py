"""What is written for people: it names all that there is, nothing that is not, and the same in both languages."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import pytest
import yaml  # type: ignore[import-untyped]
from typer.main import get_command

from outbound import library_logs, settings_model
from outbound.calls import retention
from outbound.cli.app import app
from outbound.database import migrations, roles
from outbound.monitoring import metrics, process_counters
from tests import ROOT

RUNBOOKS = ("ops/runbook.md", "ops/runbook.he.md")
# In both languages, one file each.
TRANSLATED = (
    "README",
    *(
        f"docs/{name}"
        for name in (
            "glossary",
            "http-api",
            "import",
            "page",
            "performance",
            "rules",
            "running",
            "settings",
            "webhooks",
        )
    ),
)
HEBREW = (*(f"{name}.he.md" for name in TRANSLATED), "ops/runbook.he.md", "docs/takeover.he.md", "docs/retention.he.md")
FILES = (
    *(f"{name}.md" for name in TRANSLATED),
    *HEBREW,
    *("ops/runbook.md", "docs/takeover.md", "docs/retention.md", "CONTRIBUTING.md"),
    *(f"docs/{name}.md" for name in ("api", "architecture", "faq", "promises", "scaling")),
)
EXAMPLES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "examples").rglob("*.md"))
ALERT_PARTS = {
    "ops/runbook.md": ("Means", "Look", "Do", "Wake"),
    "ops/runbook.he.md": ("מה זה אומר", "איפה מסתכלים", "מה עושים", "את מי מעירים"),
}
OLD_TABLES = {"outbound_call_runs", "outbound_call_jobs"}  # named by the guide to the take-over
ROLES = {f"outbound_{name}" for name in roles.NAMES}
CHANNELS = {"outbound_due"}  # of NOTIFY
HEBREW_SHARE_MIN = 0.5  # of the letters of a paragraph: technical words stay English there, as people say them
LETTERS_MIN = 40  # a paragraph with fewer is a name or two
# Why a call ended, in our own words (the carrier's are numbers); each is looked for in sql/ too.
ERROR_CODES = (
    *("no_call_sid", "several_candidates", "unknown_to_carrier", "not_sent", "carrier_failed", "operator_canceled"),
    *("campaign_ended", "suppressed", "no_consent", "registry_listed", "no_time_zone", "superseded", "unknown_status"),
    *("odd_row", "no_phone", "not_dialable", "destination_not_allowed"),
)

_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.M | re.S)
_CODE = re.compile(r"`([^`\n]+)`")
_COMMAND = re.compile(r"(?<![\w./@=-])outbound((?: [a-z][a-z-]+)+)([^|;&#\n]*)")
_SHELL = ("", "sh")  # languages of code blocks in which commands stand
_HEBREW = re.compile(r"[\u05d0-\u05ea]")
_PLACE = re.compile(r"\{\w+\}")

both_runbooks = pytest.mark.parametrize("name", RUNBOOKS)
every_file = pytest.mark.parametrize("name", FILES)
translated = pytest.mark.parametrize("name", TRANSLATED)


class Section(NamedTuple):
    """A heading and what stands below it, up to the next one."""

    level: int
    title: str
    body: str


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@cache
def sections(name: str) -> list[Section]:
    """All headings of a file; a line in a code block that looks like one is none."""
    found: list[tuple[int, str, list[str]]] = []
    fenced = False
    for line in text(name).splitlines():
        fenced ^= line.lstrip().startswith("```")
        heading = None if fenced else re.fullmatch(r"(#+) (.+?)\s*", line)
        if heading:
            found.append((len(heading[1]), heading[2], []))
        elif found:
            found[-1][2].append(line)
    return [Section(level, title, "\n".join(lines) + "\n") for level, title, lines in found]


def prose(written: str) -> str:
    """A text without what is in code blocks."""
    return _FENCE.sub("", written)


def code(written: str, languages: tuple[str, ...] | None = None) -> list[str]:
    """What a text has in backticks: code blocks (of these languages), then each word or command inside the prose."""
    blocks = [body for language, body in _FENCE.findall(written) if languages is None or language in languages]
    return blocks + _CODE.findall(prose(written))


def anchor(title: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def missing(wanted: Any, given: Any) -> str:
    return ", ".join(sorted(set(wanted) - set(given)))


# What there is.


@cache
def alerts() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load(text("ops/alerts.yml"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


@cache
def commands() -> dict[str, set[str]]:
    """Every command with its options; a group is none by itself."""

    def walk(command: Any, path: str) -> Iterator[tuple[str, set[str]]]:
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk(inner, f"{path} {name}".strip())
        if not hasattr(command, "commands"):
            options = {option for given in command.params for option in (*given.opts, *given.secondary_opts)}
            yield path, options | {"--help"}

    return dict(walk(get_command(app), ""))


class Exposed(NamedTuple):
    """A metric as /metrics has it."""

    kind: str
    labels: tuple[str, ...]


@pytest.fixture
def exposed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Exposed]:
    """Every metric of an empty queue, without a database."""
    monkeypatch.setattr(metrics, "read", lambda: {"calls": {"queued": 0.0, "claimed": 0.0}})
    monkeypatch.setattr(migrations, "missing_migrations", list)
    families = [
        *metrics._Queue().collect(),
        *process_counters.refused_callbacks.collect(),
        *process_counters.refused_connections.collect(),
    ]
    found = {}
    for family in families:
        named = getattr(family, "_labelnames", None)
        labels = {label for sample in family.samples for label in sample.labels} if named is None else named
        found[family.name + ("_total" if family.type == "counter" else "")] = Exposed(family.type, tuple(labels))
    assert found["outbound_scrape_error"], "the empty queue could not be read"
    return found


# Complete: what there is, is written down.


@both_runbooks
def test_every_alert_has_a_section_and_every_section_of_that_kind_has_an_alert(name: str) -> None:
    written = [section.title for section in sections(name) if section.level == 2 and section.title.isidentifier()]
    written = [title for title in written if title.startswith("Outbound")]

    assert not missing(alerts(), written), f"{name} has no section for: {missing(alerts(), written)}"
    assert not missing(written, alerts()), f"{name} has sections of no alert: {missing(written, alerts())}"
    assert len(written) == len(set(written)), f"{name} has a section twice"


@both_runbooks
def test_every_alert_leads_to_its_section(name: str) -> None:
    anchors = {anchor(section.title) for section in sections(name)}

    for alert, rule in alerts().items():
        file, _, fragment = rule["annotations"]["runbook_url"].partition("#")
        assert file == "ops/runbook.md", f"{alert} leads to {file}"
        assert fragment == alert.lower(), f"the runbook_url of {alert} ends in #{fragment}"
        assert fragment in anchors, f"{name} has no anchor #{fragment}"


@both_runbooks
def test_every_alert_says_what_it_means_where_to_look_what_to_do_and_whom_to_wake(name: str) -> None:
    for section in sections(name):
        if section.title in alerts():
            found = tuple(re.findall(r"^\*\*(.+?)\.\*\*", section.body, re.M))
            assert found == ALERT_PARTS[name], f"{name}, {section.title}: has the parts {found}"
            assert _FENCE.search(section.body), f"{name}, {section.title}: there is no command to run"
            assert re.search(r"^1\. ", section.body, re.M), f"{name}, {section.title}: there is nothing to do"


@both_runbooks
def test_the_index_of_alerts_names_each_with_its_severity(name: str) -> None:
    rows = dict(re.findall(r"^\| \[(\w+)\]\(#\w+\) \| (\w+) \|", text(name), re.M))

    assert rows == {alert: rule["labels"]["severity"] for alert, rule in alerts().items()}, f"{name}, index of alerts"


@both_runbooks
def test_every_command_is_in_the_table_of_commands(name: str) -> None:
    rows = re.findall(r"^\| `outbound ([a-z -]+)` \| .+ \|$", text(name), re.M)

    assert not missing(commands(), rows), f"{name} does not name: {missing(commands(), rows)}"
    assert not missing(rows, commands()), f"{name} names what is no command: {missing(rows, commands())}"


@both_runbooks
def test_every_setting_is_in_the_table_of_settings(name: str) -> None:
    names = settings_model.env_names().values()
    rows = re.findall(r"^\| `([A-Z][A-Z_]+)` \| .+ \|$", text(name), re.M)

    assert not missing(names, rows), f"{name} does not name: {missing(names, rows)}"
    assert not missing(rows, names), f"{name} names what is no setting: {missing(rows, names)}"


@both_runbooks
def test_every_metric_is_in_the_table_of_metrics_with_its_type_and_labels(
    name: str, exposed: dict[str, Exposed]
) -> None:
    rows = re.findall(r"^\| `(outbound_\w+)` \| (\w+) \| ?(.*?) ?\| .+ \|$", text(name), re.M)
    written = {metric: Exposed(kind, tuple(_CODE.findall(labels))) for metric, kind, labels in rows}

    assert not missing(exposed, written), f"{name} does not name: {missing(exposed, written)}"
    assert not missing(written, exposed), f"{name} names what is no metric: {missing(written, exposed)}"
    wrong = {metric: exposed[metric] for metric in exposed if written[metric] != exposed[metric]}
    assert not wrong, f"{name} has another type or other labels; these are right: {wrong}"


@both_runbooks
def test_every_reason_of_why_and_every_error_code_is_in_a_table(name: str) -> None:
    sql = "\n".join(path.read_text() for path in sorted((ROOT / "sql").rglob("*.sql")))
    why = "\n".join(path.read_text() for path in sorted((ROOT / "sql/functions").glob("why_*.sql")))
    reasons = set(re.findall(r"select \d+, '(\w+)'", why))
    reasons |= set(re.findall(r"select \d+, coalesce\(held_by, '(\w+)'\)", why))
    reasons |= set(re.findall(r"when '(\w+)'", text("sql/functions/obstacle_sentence.sql")))
    rows = re.findall(r"^\| ([^|]*`[^|]+) \| .+ \| .+ \|$", text(name), re.M)
    written = {word for row in rows for word in _CODE.findall(row)}

    assert {"due", "paused", "outside_window"} <= reasons, "the reasons are not found where they were in sql/"
    assert not missing(reasons, written), f"{name} does not explain: {missing(reasons, written)}"
    assert not missing(ERROR_CODES, written), f"{name} does not explain: {missing(ERROR_CODES, written)}"
    assert not [code for code in ERROR_CODES if f"'{code}'" not in sql], "an error code is in sql/ no more"


# True: what is written down, is there.


@every_file
def test_every_command_that_is_named_exists_with_its_options(name: str) -> None:
    known = commands()
    groups = {path.split()[0] for path in known if " " in path}

    for words, rest in (found for piece in code(text(name), _SHELL) for found in _COMMAND.findall(piece)):
        named = words.split()
        command = next((path for size in (2, 1) if (path := " ".join(named[:size])) in known), None)
        is_a_group = len(named) == 1 and named[0] in groups
        assert command or is_a_group, f"{name} names `outbound{words}`, which does not exist"
        if command and command != "psql":  # which hands on what it does not know
            unquoted = re.sub(r"\"[^\"]*\"|'[^']*'", "", rest)
            unknown = missing(re.findall(r"(?<!\S)--[a-z][a-z-]*", unquoted), known[command])
            assert not unknown, f"{name}: `outbound {command}` has no {unknown}"


@pytest.mark.parametrize("name", [*FILES, *EXAMPLES])
def test_nobody_is_told_to_install_another_projects_package(name: str) -> None:
    named = re.findall(r"pip install (?:-\S+ )*['\"]?outbound(?![-\w])[^`\n]*", text(name))

    assert named == [], f"{name} installs what has our name on the public package index: {named}"


@every_file
def test_every_make_target_that_is_named_exists(name: str) -> None:
    targets = re.findall(r"^([a-z]+):", text("Makefile"), re.M)
    named = re.findall(r"^\s*make ([a-z]+)", "\n".join(code(text(name))), re.M)

    assert not missing(named, targets), f"{name} names what is no target of make: {missing(named, targets)}"


@every_file
def test_every_address_that_is_named_is_answered(name: str) -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "outbound").rglob("*.py"))
    named = re.findall(
        r"^GET (/\S+)|^(/(?:metrics|healthz|readyz|voice|callbacks)\S*)", "\n".join(code(text(name))), re.M
    )

    paths = (re.sub("/(?:[A-Z…].*)?$", "", "".join(one)) for one in named)
    # `{id}` of a page is `{import_id:int}` of the code.
    gone = [
        path for path in paths if not re.search('"' + r"\{[\w:]+\}".join(map(re.escape, _PLACE.split(path))), source)
    ]
    assert not gone, f"{name} names what nobody answers: {', '.join(gone)}"


@every_file
def test_every_unit_of_systemd_that_is_named_exists(name: str) -> None:
    units = {path.name for path in (ROOT / "ops" / "systemd").iterdir() if path.is_file()}
    known = {unit for file in units for unit in (file, file.removesuffix(".service"))}
    pattern = r"(?<![\w./-])outbound(?:-[a-z]+@?)?(?:\.[a-z]+)?(?=[^\w./@:-]|\d|$)"
    named = set(re.findall(pattern, "\n".join(code(text(name))))) - {"outbound", "outbound.aio"}

    assert not missing(named, known), f"{name} names what is no unit: {missing(named, known)}"


@every_file
def test_every_setting_that_is_named_exists(name: str) -> None:
    pattern = r"\b(?:OUTBOUND_[A-Z_]*[A-Z]|TWILIO_[A-Z_]*[A-Z]|DATABASE_URL|REDIS_URL)\b"
    named = re.findall(pattern, "\n".join(code(text(name))))

    wrong = missing(named, settings_model.env_names().values())
    assert not wrong, f"{name} names what is no setting: {wrong}"


@every_file
def test_every_metric_that_is_named_exists(name: str, exposed: dict[str, Exposed]) -> None:
    series = {
        metric + suffix
        for metric, family in exposed.items()
        for suffix in (("_bucket", "_sum", "_count", "") if family.kind == "histogram" else ("",))
    }
    named = set(re.findall(r"\boutbound_[a-z_]*[a-z]\b", "\n".join(code(text(name))))) - OLD_TABLES - ROLES - CHANNELS

    assert not missing(named, series), f"{name} names what is no metric: {missing(named, series)}"


@both_runbooks
def test_every_event_of_the_log_that_is_named_is_logged(name: str) -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "outbound").rglob("*.py"))
    steps = {event.split(".")[0] for event in re.findall(r'log\.\w+\(\s*f?"([a-z_]+\.)', source)}
    named = {
        event
        for event in re.findall(r"\b[a-z_]+\.[a-z_]+\b", "\n".join(code(text(name))))
        if event.split(".")[0] in steps and not event.endswith((".service", ".socket"))
    }

    assert named, f"{name} names no event"
    made = [as_pattern(event) for event in re.findall(r'f"([a-z_]*\.?{[^"\s]+)"', source)]
    unknown = sorted(
        event for event in named if f'"{event}"' not in source and not any(re.fullmatch(one, event) for one in made)
    )
    assert not unknown, f"{name} names what nobody logs: {', '.join(unknown)}"


def as_pattern(event: str) -> str:
    """An event as its f-string has it, with the names in braces, as a regular expression."""
    return re.sub(r"\\{.*?\\}", r"\\w+", re.escape(event))


def logged_in_trouble() -> set[str]:
    """Every event of level warning or worse, ours and those that ours are in place of a library's."""
    source = "\n".join(path.read_text() for path in sorted((ROOT / "outbound").rglob("*.py")))
    called = re.findall(r'\.(?:warning|error|critical|exception|outage)\(\s*(f?)"([^"\s]+\.[^"\s]+)"', source)
    return {event for _, event in called} | {line.event for line in library_logs._LINES if line.event}


@both_runbooks
def test_every_event_that_is_logged_in_trouble_is_in_the_table_of_log_events(name: str) -> None:
    title = {"ops/runbook.md": "Log events", "ops/runbook.he.md": "אירועים בלוג"}[name]
    body = next(section.body for section in sections(name) if section.title == title)
    written = {event for row in re.findall(r"^\| ([^|]*`[^|]*) \|", body, re.M) for event in _CODE.findall(row)}

    assert {"dial.refused", "cleanup.failed", "broker.connection_lost"} <= logged_in_trouble(), "events are not found"
    for event in logged_in_trouble():
        assert any(re.fullmatch(as_pattern(event), known) for known in written), f"{name} does not explain {event}"


@every_file
def test_every_link_leads_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(text(name))):
        if re.match(r"https?://", target):
            continue
        path, _, fragment = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.exists(), f"{name} leads to {path}, which does not exist"
        if fragment:
            there = {anchor(section.title) for section in sections(file.resolve().relative_to(ROOT).as_posix())}
            assert fragment in there, f"{name} leads to {target}, and there is no such heading"


@every_file
def test_nothing_of_the_machine_it_was_written_on_is_in_it(name: str) -> None:
    found = re.findall(r"/(?:work|home|tmp)/\S*|\b(?:pypi\.org|docker\.io|ghcr\.io)\b", text(name))

    assert not found, f"{name} has {found}"


# Hebrew and English have the same of each.


def test_both_runbooks_have_the_same_sections_in_the_same_order() -> None:
    english, hebrew = ([(section.level, section.title) for section in sections(name)] for name in RUNBOOKS)

    assert [level for level, _ in english] == [level for level, _ in hebrew], "the headings are not of the same levels"
    own = ([title for _, title in titles if title in alerts()] for titles in (english, hebrew))
    assert next(own) == next(own), "the alerts are not in the same order"
    for (_, said), (_, told) in zip(english, hebrew, strict=True):
        assert (said in alerts()) == (told in alerts()), f"`{said}` stands where the other one has `{told}`"


def test_both_runbooks_have_the_same_commands_in_every_section() -> None:
    for english, hebrew in zip(*map(sections, RUNBOOKS), strict=True):
        assert _FENCE.findall(english.body) == _FENCE.findall(hebrew.body), (
            f"the code blocks of `{english.title}` and `{hebrew.title}` differ"
        )


def test_both_runbooks_have_the_same_rows_in_every_table() -> None:
    for english, hebrew in zip(*map(sections, RUNBOOKS), strict=True):
        keys = [
            [tuple(_CODE.findall(row)) for row in re.findall(r"^\| ([^|]*`[^|]*) \|", section.body, re.M)]
            for section in (english, hebrew)
        ]
        assert keys[0] == keys[1], f"the tables of `{english.title}` and `{hebrew.title}` differ"


@pytest.mark.parametrize("name", ["docs/retention.md", "docs/retention.he.md"])
def test_what_is_kept_of_people_is_said_of_every_table(name: str) -> None:
    rows = [row.split(" | ") for row in re.findall(r"^\| (`[^|]+ \| .+) \|$", text(name), re.M)]
    named = [table for row in rows for table in _CODE.findall(row[0])]

    assert sorted(named) == sorted(migrations.known_tables()), "each table stands there once"
    gone_by_age = {table: _CODE.findall(row[2]) for row in rows for table in _CODE.findall(row[0])}
    settings = {f"OUTBOUND_{kind.field.upper()}" for kind in retention.KINDS.values()} | {"OUTBOUND_RETENTION_DAYS"}
    assert {word for words in gone_by_age.values() for word in words} == settings
    assert gone_by_age["leads"] == ["OUTBOUND_LEAD_DAYS"]
    assert gone_by_age["registry_check"] == ["OUTBOUND_REGISTRY_DAYS"]
    assert gone_by_age["audit"] == gone_by_age["audit_change"] == ["OUTBOUND_AUDIT_DAYS"]


@translated
def test_a_translated_page_has_its_sections_in_hebrew_too(name: str) -> None:
    english, hebrew = ([section.level for section in sections(f"{name}{end}")] for end in (".md", ".he.md"))

    assert english == hebrew


@translated
def test_a_translated_page_has_the_same_code(name: str) -> None:
    english, hebrew = (
        [
            re.sub(r"\s+# .*", "", line).strip()
            for block in _FENCE.findall(text(f"{name}{end}"))
            for line in block[1].splitlines()
        ]
        for end in (".md", ".he.md")
    )

    assert hebrew == english


@translated
def test_a_translated_page_has_the_same_rows(name: str) -> None:
    english, hebrew = (
        [tuple(_CODE.findall(row)) for row in re.findall(r"^\| ([^|]*) \|", text(f"{name}{end}"), re.M)]
        for end in (".md", ".he.md")
    )

    assert hebrew == english


@pytest.mark.parametrize("name", ["docs/settings.md", "docs/settings.he.md"])
def test_every_setting_is_in_the_table_of_settings_and_no_other(name: str) -> None:
    rows = re.findall(r"^\| `([A-Z][A-Z_]+)` \| .+ \| .+ \|$", text(name), re.M)

    assert sorted(rows) == sorted(settings_model.env_names().values())


@pytest.mark.parametrize("name", HEBREW)
def test_the_hebrew_is_hebrew(name: str) -> None:
    for section in sections(name):
        for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:\d+\. |- |\|))", prose(section.body)):
            # Names of tools and products are nobody's language.
            bare = re.sub(r"<[^>]+>|\]\([^)]*\)|\b[A-Z]\w*\b", "", _CODE.sub("", paragraph))
            letters = re.findall(r"[^\W\d_]", bare)
            share = sum(bool(_HEBREW.match(letter)) for letter in letters) / max(1, len(letters))
            assert len(letters) < LETTERS_MIN or share >= HEBREW_SHARE_MIN, (
                f"{name}, `{section.title}`: {share:.0%} is Hebrew of: {paragraph.strip()[:80]}"
            )


@pytest.mark.parametrize("name", HEBREW)
def test_there_is_no_hebrew_in_code(name: str) -> None:
    wrong = [piece for piece in code(text(name)) if _HEBREW.search(piece)]

    assert not wrong, f"{name} has Hebrew in code: {wrong}"


@pytest.mark.parametrize("name", HEBREW)
def test_the_hebrew_runs_from_the_right_and_code_from_the_left(name: str) -> None:
    written = text(name)
    assert written.startswith('<div dir="rtl">\n\n'), f"{name} does not begin from the right"
    assert written.endswith("\n\n</div>\n"), f"{name} does not end what it began"
    assert written.count("<div") == written.count("</div>"), f"{name} leaves a div open"

    for block in _FENCE.finditer(written):
        before = written[: block.start()].rstrip()
        assert before.endswith('<div dir="ltr">'), f"{name}: this code runs from the right: {block[0][:60]}"
    # Between Hebrew words, a sign at the edge of a piece of code would jump to its other side.
    for piece in re.finditer(r'(<span dir="ltr">)?`([^`\n]+)`', prose(written)):
        edges = piece[2][0] + piece[2][-1]
        assert piece[1] or edges.isalnum(), f'{name}: write <span dir="ltr">`{piece[2]}`</span>'


@pytest.mark.parametrize("name", HEBREW)
def test_a_hebrew_sentence_that_ends_in_latin_ends_on_its_own_side(name: str) -> None:
    # A full stop between Latin words takes their direction, and the next sentence jumps before the one that ended.
    # A right-to-left mark after it keeps both in their order.
    bare = re.sub(r'(?:<span dir="ltr">)?`[^`\n]*`(?:</span>)?', "x", prose(text(name)))
    flat = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", bare)
    items = re.sub(r"^ *(?:\d+\.|-) |<[^>]+>", "\n", flat, flags=re.M)
    wrong = re.findall(r"\S*[A-Za-z0-9]\)?[.:;](?: +| *\n *)[A-Za-z][^\n]{0,40}", items)

    assert not wrong, f"{name}: write U+200F before the second half of {wrong}"
