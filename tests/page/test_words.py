"""The page's words: each language has every text, and each code that something waits or ends with has one."""

import ast
import json
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from babel import Locale

from outbound.call import STATUSES
from outbound.calls import call_timeline
from outbound.page import reason_words, words
from outbound.page.menu import ENTRIES
from outbound.rules import api_token
from outbound.translation import sentences
from tests.conftest import World
from tests.test_docs import ERROR_CODES

PAGE = Path(words.__file__).parent
SQL = PAGE.parents[1] / "sql"
SOURCES = {
    path: path.read_text(encoding="utf-8")
    for folder, kind in ((PAGE, "*.py"), (PAGE / "templates", "*.html"))
    for path in sorted(folder.rglob(kind))
}
ENGLISH, HEBREW = words.catalogue("en"), words.catalogue("he")
_PLACE = re.compile(r"\{(\w+)\}")
_LITERAL = re.compile(r"""["']([a-z_]+(?:\.[\w-]+)+)["']""")
# How a key is put together: `t("status." + value)`, `t(f"scope.{kind}")`.
_BEGUN = re.compile(r"""["']([a-z_]+\.(?:[a-z_]+\.)*)["'] *[+~]|f["']([a-z_]+\.(?:[a-z_]+\.)*)\{""")
_FILE_ENDS = ("html", "css", "js", "svg", "json", "csv", "ndjson")
_CODE = re.compile(r"'([a-z]\w+)'")


def _forms(text: words.Text) -> list[str]:
    return [text] if isinstance(text, str) else list(text.values())


def _unwritten(keys: Iterable[str]) -> list[str]:
    return sorted(key for key in keys if not (key in ENGLISH and key in HEBREW))


def test_each_language_has_every_text() -> None:
    assert ENGLISH.keys() == HEBREW.keys()
    assert list(ENGLISH) == sorted(ENGLISH)
    assert list(HEBREW) == sorted(HEBREW)


def test_no_sentence_has_a_second_text() -> None:
    own = json.loads((PAGE / "words" / "he.json").read_text(encoding="utf-8"))
    also = sentences.catalogue("he")

    assert [key for key in own if str(ENGLISH[key]).endswith((".", ":")) and ENGLISH[key] in also] == []
    assert HEBREW["obstacle.suppressed"] == also["The number is on a do-not-call list."]


def test_a_text_takes_the_same_values_in_each_language() -> None:
    def taken(text: words.Text) -> set[str]:
        return set(_PLACE.findall(" ".join(_forms(text)))) - {"n"}

    assert {key: taken(text) for key, text in ENGLISH.items()} == {key: taken(text) for key, text in HEBREW.items()}
    for key, text in ENGLISH.items():
        counts = not isinstance(text, str), not isinstance(HEBREW[key], str)
        assert counts[0] == counts[1] or "{n}" in " ".join(_forms(text)), key


@pytest.mark.parametrize(("language", "forms"), [("en", {"one", "other"}), ("he", {"one", "two", "other"})])
def test_what_depends_on_a_number_has_a_form_for_each(language: str, forms: set[str]) -> None:
    plural = Locale.parse(language).plural_form
    assert forms >= {plural(number) for number in range(1000)}
    for key, text in words.catalogue(language).items():
        if not isinstance(text, str):
            assert text.keys() == forms, key
            assert "{n}" in text["other"], key


def test_hebrew_is_written_in_hebrew() -> None:
    foreign = {"menu.webhooks", "event.reported", "pause.why", "button.of", "ending.because"}
    for key, text in HEBREW.items():
        for form in _forms(text):
            written = re.search("[\u05d0-\u05ea]", _PLACE.sub("", form))
            assert written or key in foreign or not re.search("[A-Za-z]", _PLACE.sub("", form)), key


def test_no_text_is_missing_and_none_is_unused() -> None:
    literal, begun = set(), set()
    for source in SOURCES.values():
        literal |= {found for found in _LITERAL.findall(source) if not found.endswith(_FILE_ENDS)}
        begun |= {one or other for one, other in _BEGUN.findall(source)}
    roots = {key.split(".")[0] for key in ENGLISH}
    wanted = {key for key in literal if key.split(".")[0] in roots}
    done = {f"done.{word}" for path, source in SOURCES.items() if path.suffix == ".py" for word in _done(source)}

    assert _unwritten(wanted | done) == []
    unused = [key for key in ENGLISH if key not in wanted | done and not key.startswith(tuple(begun))]
    assert unused == []


def _done(source: str) -> list[str]:
    """What a module says that it did: the second argument of `visit.go`, where that is written there."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    given = [node.args[1] for node in calls if getattr(node.func, "attr", "") == "go" and len(node.args) > 1]
    return [str(one.value) for one in given if isinstance(one, ast.Constant)]


def test_every_screen_of_the_menu_has_a_name() -> None:
    assert _unwritten(f"menu.{entry.key}" for entry in ENTRIES) == []
    assert {entry.scope for entry in ENTRIES} <= api_token.SCOPES.keys()


def test_every_code_of_why_and_of_what_stops_all_has_words(world: World) -> None:
    codes: set[str] = set()
    for name in ("why_by_status", "why_by_rules", "why_by_limits", "why_by_processes"):
        body = _body(world, name)
        codes |= set(re.findall(r"select \d+,\s*'(\w+)'", body)) | set(re.findall(r"held_by, '(\w+)'\)", body))
    assert {"unknown_call", "ended", "not_due", "hold", "pace", "due", "live_max"} <= codes
    assert len(codes) == 18, "the functions are written in another way: read their codes in another way"
    causes = set(re.findall(r"'(\w+)'::text", world.value(_CAUSES)))
    assert {code for code in codes if f"why.{code}" not in ENGLISH and code not in reason_words.SENTENCES} == set()
    assert _unwritten(f"why.stopped_{cause}" for cause in causes) == []

    blockers = set(re.findall(r"select \d+, '(\w+)'", _body(world, "dialing_blockers")))
    blockers |= {f"stopped_{cause}" for cause in causes}
    assert len(blockers) == 10
    assert _unwritten(f"{part}.{code}" for code in blockers for part in ("stop", "mend")) == []


_CAUSES = (
    "select pg_get_constraintdef(oid) from pg_constraint"
    " where conrelid = 'dialing_stop'::regclass and contype = 'c' and pg_get_constraintdef(oid) like '%%cause%%'"
)


def test_every_obstacle_of_a_call_has_words(world: World) -> None:
    codes = set(re.findall(r"(?i)when '(\w+)'", _body(world, "obstacle_sentence")))
    assert codes >= {"suppressed", "outside_window", "no_time_zone"}
    assert _unwritten(f"obstacle.{code}" for code in codes) == []
    final = re.findall(r"code in \(([^)]*)\)", _body(world, "call_obstacle"))
    held = codes - set(_CODE.findall(final[0]))
    assert _unwritten(f"held.{code}" for code in held | {"not_due"}) == []


def test_every_code_of_our_own_that_a_call_is_closed_with_has_words() -> None:
    found: set[str] = set()
    for path in sorted(SQL.rglob("*.sql")):
        if "migrations" not in path.parts:
            set_to = re.findall(r"error_code\s*=\s*('\w+'|case.*?\bend\b)", path.read_text("utf-8"), re.DOTALL)
            found |= set(_CODE.findall(" ".join(set_to))) - set(STATUSES)
    found |= set(ERROR_CODES)
    assert found >= {"no_call_sid", "operator_canceled", "unknown_to_carrier", "not_sent"}
    assert _unwritten(f"closed.{code}" for code in found if f"obstacle.{code}" not in ENGLISH) == []


def test_what_happened_to_a_call_and_how_it_ended_has_words() -> None:
    assert _unwritten(f"event.{code}" for code in call_timeline.CODES) == []
    told = {"failed"}  # by its error
    assert _unwritten(f"ending.{code}" for code in (*call_timeline.ENDINGS, "operator") if code not in told) == []


def test_the_sheet_knows_no_left_and_no_right() -> None:
    sheet = (PAGE / "static" / "page.css").read_text(encoding="utf-8")
    assert re.findall(r"[^;{}]*\b(?:left|right)\b[^;{}]*", re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL)) == []


def _body(world: World, function: str) -> str:
    return str(
        world.value(
            "select string_agg(prosrc || coalesce(pg_get_function_sqlbody(oid), ''), ' ')"
            " from pg_proc where proname = %s",
            function,
        )
    )
