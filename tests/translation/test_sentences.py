"""What the program says in English has a text in each other language, and none is left over."""

import ast
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from outbound.broker import redis_client
from outbound.checks import doctor
from outbound.database import error_messages
from outbound.formats import phone_numbers
from outbound.translation import sentences
from tests import ROOT

HEBREW = sentences.catalogue("he")
_PLACE = re.compile(r"\{(\w+)\}")
_LETTERS = re.compile("[\u05d0-\u05ea]")
_CODE = re.compile(r"`[^`]*`")
_CHECKS = ("broker", "carrier", "clock", "database", "doctor", "finding", "processes", "webhooks")
# Not said by themselves: names, parts of a sentence, what goes to a server.
_PARTS = {
    " and ",
    " of business x",
    "Basic x",
    "x on x",
    "x x",
    "x (x)",
    "space for a new table",
    "ahead of",
    "each business's own country (x)",
    "; special numbers: x",
    "; beyond that the carrier's own permissions decide (x)",
    "; this role makes no tables in it",
    "endpoint x (x)",
    "its file x",
    "its file is missing here",
    "x: this user may not run INFO",
    "it takes and gives messages; its version was not looked at",
    "maxmemory-policy was not looked at",
    "x is x s x this host",
    "PostgreSQL x",
    "Redis x",
    "Valkey x",
    "x, x",
    ", x",
    "x: x",
    "xx: x",
    " and x more",
    "x is off: x",
    "x fails since x (x times in a row)",
    "x x.x",
    "HTTP 401",
    "HTTP 403",
}
WHOLE = (
    "AC1 of business 3: its file is missing here",
    "AC1 of business 3, 4: its file cannot be read",
    "the broker is 5.0 s behind this host",
    "the database is 5.0 s ahead of this host",
    "public; this role makes no tables in it",
    "maxmemory-policy was not looked at: this user may not run INFO",
    "it takes and gives messages; its version was not looked at: this user may not run INFO",
    (
        "nothing bounds how many calls a day may have. Open are each business's own country (IL, US), GB; special"
        " numbers: toll-free; beyond that the carrier's own permissions decide (Twilio's console: Voice, Settings, Geo"
        " permissions)"
    ),
    (
        "endpoint 3 (https://a.example) is off: It answered 410: it is gone, endpoint 4 (https://b.example) fails since"
        " Fri 2026-11-27 09:00 UTC (7 times in a row)"
    ),
    (
        "Campaign 3 (Recall) is paused since Fri 2026-11-27 09:00 UTC by Dana: lunch. `outbound resume campaign 3` lets"
        " it go. The carrier was in trouble: one call at a time is tried, until it takes one."
    ),
)
_NO_NUMBERS = (
    *(
        "",
        "call me",
        "12 percent",
        "054-ABC-0199",
        "a@b.example",
        "*4455",
        "10:30",
        "50%",
        "5 nis \u20aa",
        "-545550199",
    ),
    *("054-555-0199 ext 4", "054-555-0199 / 054-555-0198", "5.45E+8", "545,550,199", "2026-11-27", "+9721", "9" * 400),
    *("054-555-01991", "054-555-019", "123-4567", "1-500-555-0199-7", "4412345", "054-555-0199;x=1"),
    "tel:0545550199;phone-context=a.example",
)


def _texts(path: Path) -> Iterator[str]:
    """The texts of a module, an x at each place; neither docstrings nor the parts of a longer text."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    inner |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            yield node.value


def in_hebrew(text: str) -> bool:
    """Has it a text in Hebrew?  Code alone is written alike in all languages."""
    found = sentences.plain(text, "he")
    return found is not None and bool(_LETTERS.search(found) or not _CODE.sub("", text).strip(" ;"))


def missing(texts: Iterable[str]) -> list[str]:
    """Those of these texts that have none in Hebrew."""
    return sorted({text for text in texts if text.strip(" ,;") and text not in _PARTS and not in_hebrew(text)})


def test_all_that_a_check_can_say_has_a_text() -> None:
    said = [text for name in _CHECKS for text in _texts(ROOT / "outbound" / "checks" / f"{name}.py") if " " in text]
    assert len(said) > 150
    assert missing(said) == []
    assert missing([check.name for check in doctor.CHECKS]) == []
    assert missing(["settings", "accepted", "yes", "none", "on", "needs broker", *WHOLE]) == []


def test_what_servers_answer_and_what_refuses_a_database_has_a_text() -> None:
    faults = [redis_client.Fault(code, *found) for code, found in redis_client.FAULTS.items()]
    assert missing([text for fault in faults for text in (str(fault), fault.mend)]) == []
    states = error_messages._BY_STATE.values()
    assert missing([text for said, mend in states for text in (f"{said}: x", mend)]) == []
    unfit = [text for text in _texts(ROOT / "outbound" / "db_session.py") if text.startswith(_UNFIT)]
    assert len(unfit) == len(_UNFIT)
    assert missing(unfit) == []


_UNFIT = (
    *("the server is", "upgrade it", "the encoding", "make one with", "the schemas", "name one in"),
    *("DATABASE_URL asks", "take search_path", "this role may not use", "`grant usage"),
)


@pytest.mark.parametrize("region", ["IL", None])
def test_what_is_no_phone_number_is_refused_in_hebrew(region: str | None) -> None:
    for text in _NO_NUMBERS:
        with pytest.raises(phone_numbers.NoPhoneNumber) as refused:
            phone_numbers.read(text, region)
        assert missing([f"the number {refused.value}", f"`to` {refused.value}"]) == []


def test_each_text_takes_what_its_sentence_has_and_is_written_in_hebrew() -> None:
    assert list(HEBREW) == sorted(HEBREW)
    for text, said in HEBREW.items():
        assert set(_PLACE.findall(said)) <= set(_PLACE.findall(text)), text
        assert len(set(_PLACE.findall(text))) == len(_PLACE.findall(text)), text
        assert said.count("`") % 2 == 0, text
        assert _LETTERS.search(said) or not re.sub(r"`[^`]*`|\{\w+\}", "", said).strip(" ;"), text


def test_no_text_begins_with_a_word_of_the_other_direction() -> None:
    """Where nobody says the direction, as in JSON, a text has that of its first letter outside of isolates."""
    assert [said for said in HEBREW.values() if re.match(r"[A-Za-z]", said) and _LETTERS.search(said)] == []


def test_what_a_person_has_written_stays_as_it_is() -> None:
    named = "the business has a campaign named {} already: give another name, or change that one"
    assert "\u2068dialing\u2069" in (sentences.plain(named.format("dialing"), "he") or "")
    assert "\u2068+972 54, 555\u2069" in (sentences.plain(named.format("+972 54, 555"), "he") or "")


def test_of_two_templates_that_fit_the_narrower_is_meant() -> None:
    wide = sentences.plain("`x` is not a phone number of IL: write it like +97231234567", "he")
    narrow = sentences.plain("`x` is not a phone number of IL; looks like +44 20: write the plus", "he")
    assert wide == "\u2068`x`\u2069 אינו מספר טלפון של \u2068IL\u2069: יש לכתוב אותו כמו \u2068+97231234567\u2069"
    assert narrow == "\u2068`x`\u2069 אינו מספר טלפון של \u2068IL\u2069; נראה כמו \u2068+44 20\u2069: יש לכתוב את הפלוס"


def test_each_template_has_a_word_by_which_it_is_found() -> None:
    for text in HEBREW:
        assert not _PLACE.search(text) or sentences._words(sentences.PLACE.split(text)[::2]), text


@pytest.mark.parametrize("part", ["`at` ", "x: paused: ", "not CSV: ", "; ", ", ", "the number ", "a. A", "{what} is "])
def test_a_hostile_text_takes_no_long_time_and_no_deep_stack(part: str) -> None:
    began = time.process_time()
    sentences.plain((part * 2000)[:2000], "he")
    assert time.process_time() - began < 0.5
    assert sentences.plain("the number " + "x" * 2000 + " is empty: give a phone number", "he") is None


def test_a_thousand_refusals_take_less_than_a_moment() -> None:
    sentences.plain("the file is empty", "he")  # which loads the catalogue
    refused = [f"`to` has {count} characters: write it like +97231234567" for count in range(1000)]
    began = time.process_time()
    assert all(sentences.plain(text, "he") for text in refused)
    assert time.process_time() - began < 0.5, "some 0.02 s where nothing else is at work"


def test_a_text_of_which_a_part_has_no_hebrew_is_not_said_whole() -> None:
    known = "`to` is empty: give a phone number"

    assert sentences.said(known, "he")[1]
    for text in (f"{known}; nobody has written this yet", "nobody has written this yet"):
        said, is_whole = sentences.said(text, "he")
        assert "nobody has written this yet" in said
        assert not is_whole
