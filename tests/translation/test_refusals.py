"""Every sentence with which the API refuses is in each other language; one that is added without a text is found."""

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from json import decoder, scanner
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter, ValidationError
from starlette.convertors import IntegerConvertor

from outbound.api import app, json_body, problem
from outbound.api.problem import Problem
from outbound.api.route import Operation
from outbound.errors import UserError
from outbound.formats import file_text, moments, time_zones, twiml_template, weekly_hours
from outbound.rules import retry_policy
from tests import ROOT
from tests.translation import test_answers, test_sentences
from tests.translation.test_sentences import missing

_API = ("app", "calls", "contacts", "context", "control", "event_stream", "files", "json_body", "new_calls")
_RULES = ("api_token", "audit", "business", "calling_window", "campaign", "cancel_call", "consent", "contact_entry")
_CALLS = ("call_again", "call_request", "call_search", "campaign_results", "enqueue", "import_calls", "import_dates")
# Each module whose refusals the API hands on, with what its phrases go on from where they are no whole sentences.
_MODULES = {
    **dict.fromkeys(f"api/{name}" for name in (*_API, "parameters", "problem", "route", "tenants", "tokens")),
    **dict.fromkeys(f"rules/{name}" for name in (*_RULES, "contact_list", "control", "decision", "destination")),
    **dict.fromkeys(f"rules/{name}" for name in ("limits", "registry", "retry_policy", "scope", "suppression")),
    **dict.fromkeys(f"calls/{name}" for name in (*_CALLS, "import_record", "person", "reschedule", "wrong_file")),
    **dict.fromkeys(("api/webhooks", "webhooks/address", "webhooks/endpoint", "webhooks/event_stream")),
    **dict.fromkeys(f"formats/{name}" for name in ("csv_file", "csv_header", "digits", "file_text", "twiml_template")),
    **dict.fromkeys((f"formats/{name}" for name in ("moments", "plain_text", "time_zones")), "`x` "),
    "formats/weekly_hours": None,
    "formats/workbook": "x: ",
    "monitoring/why": None,
    "names": None,
}
# What these refuse, only commands, processes and applications hear, or another of the modules says it too.
_NOT_OF_THE_API = {
    "calls/call_timeline",
    *("calls/call_record", "calls/recover", "calls/retention"),
    *("webhooks/listener", "formats/phone_numbers"),  # of which test_sentences has every refusal
}
_PURPOSES = re.compile(r"re\.compile|re\.sub|tell|Query|Field|log\.\w+|Annotated|columns\.named")
_NO_REFUSALS = {
    "FAULTS",
    "CANNOT_TELL",
    "SCOPES",
    "EXAMPLE",
    "RESULTS",
    "LEFT_ALONE",
    "OLD_TABLES",
    "_STATUSES",
    "_DESCRIPTION",
    "_GAP",
}
# Not said by themselves: parts of a sentence, of which _WHOLE has each; what only an application hears; no refusals.
_PARTS = {
    "the head that was given",
    "your name for this request: repeated, it does nothing more and is answered as before",
    'Bearer realm="outbound"',
    'Bearer realm="outbound", error="invalid_token"',
    "a request with this Idempotency-Key is being answered",
    "a call with this key or number is being written",
    "the body",
    "the file has come; `Location` says how its import goes",
    "the rows, as they are found",
    "there already",
    "calls at once are",
    "calls per second are",
    "dropped number",
    "the age of the registry's answer is whole days",
    "the priority is",
    "the time limit is seconds,",
    "say in it `yes` or `no` for each number",
    "say in it when each consent was given, or with `given_at` when all were",
    "next day",
    " or name",
    ", its CA…, its key or its number",
    "give a list of calls, each like {'to_number': '+97231234567'}",
    "this is no call: give its fields by name, like {'to_number': '+97231234567'}",
    "`at` may be day and month or month and day",
    "the business's",
    "the callee's",
    "Nothing was queued.  With `anyway` the lines that are good are taken.",
    "`to` is empty",
    "lines are refused",
    "numbers may not be called",
    "each of them, as a row of its own",
    "standard input",
    "there must be one column",
    "is named like a workbook and is none: name a file of text .csv, or save it as .xlsx in a spreadsheet",
    "a title",
    "a transaction is open since before: forget this number once more when it has ended",
    "OUTBOUND_RING_S: no call has ended",
    "the latest calls",
    " and others",
    ": it is the name of the file, or what `batch` called it",
    "with this number",
    "write it like `09:00-13:00`",
    "write it like `sun-thu 09:00-20:00, fri 09:00-13:00`",
    "x: send it again in a second",
    "there is no such x, or it is not this token's",
    "an id; of a number E.164",
    "businesses, campaigns, calls or numbers; or everything, with the key `all`",
    ": still here\nid: x\n\n",
    "id: x\nevent: x\ndata: x\n\n",
    "retry: x\nid: x\n\n",
    "files of x",
    "x is no JSON that is read here: x",
    "x is no text in UTF-8, as which JSON is sent: encode it so",
    ", and this x",
    "there is no x x: see `outbound x list`",
    "there is no x xx: see `outbound x list`",
    "there is no x: see `outbound x list`",
    "there is no such x: see `outbound x list`",
    "there is no outbound x: `outbound enqueue` printed its id",
    "a campaign's name is one line of x characters at mostx",
    "machine detection is x",
    "no column is named `x`: x; x",
    "no column is named `x`: x",
    (
        "no column is named `to`, or as one that holds phone numbers: x.  Known are x and their like; for another give"
        " `to_column` NAME"
    ),
    "x must be one line, and x",
    "say how often one callee may be dialed per x: 1 to x",
    "which x?  Give its id",
    "field x of the contact x",
    "a call has no field x: there are x",
    "these are more than x calls: give the others afterwards",
    "the name of the batch x",
    "the name of a x x",
    "the number x",
    "the moment x",
    "what was given x",
    "dates are read x first, as in x: x is x",
    (
        "moments without an offset are by the callee's clocks where those are known, else by the business's: `at` in"
        " line x, x, is x"
    ),
    "write it like x",
    "is a file of contacts (vCard), not CSV: export the contacts as CSV",
    "is compressed (.rar)",
    "is compressed (.gz)",
    "is compressed (.bz2)",
    "is compressed (.7z)",
    "is a zip archive, or a workbook of another program (.ods, .numbers)",
    "is a workbook of an older Excel (.xls), or one with a password",
    "is a document (.rtf)",
    "is a SQLite database",
    "is a Parquet file",
    "is a PDF document",
    (
        "a call with this person is live: x; `outbound suppress add … --everybody` cancels what waits, `outbound stop"
        " call ID` hangs up; forget them when it has ended"
    ),
    "numbers are not valid in x: is the region right?  `outbound business set x --region …` changes it.",
    "numbers are not valid without a country code, and x has no region: x.",
    "x x  Nothing was queued.  With `anyway` the lines that are good are taken.  Most: x",
    "x x.  Nothing was queued.  With `anyway` the lines that are good are taken.  Most: x",
    " from x: give the path of a file",
    ": it holds a NUL byte",
    "found are x",
    "not x textx",
    "read from the sheet xx",
    ", not from x",
    "`x` is not a time from which and a time to which: x",
    "x is a directory: give a file",
    "x is a pipe, which cannot be read twice: save it as a file first",
    "x: open it in a spreadsheet and save it as CSV (UTF-8) or .xlsx",
    "open it in a spreadsheet and save it as CSV (UTF-8) or .xlsx",
    "is JSON, not CSV: open it in a spreadsheet and save it as CSV (UTF-8) or .xlsx",
    "is a web page or XML, not CSV: open it in a spreadsheet and save it as CSV (UTF-8) or .xlsx",
    "as an empty date is saved: leave it empty",
    "x comes twice that day in x: taken as the first, x",
    "x does not exist that day in x: taken as x",
    "There is no call x.",
    "x: x calls per x",
    ": there is x",
    "; there is x",
    "its key, of business x x",
    "of business x x, x",
    "there is no batch named xx",
    "there is no x named x: see `outbound x list`x",
    "x x are named x: give the id of one: x",
}
_WHOLE = (
    "the number of line 4 once more: it is called once",
    "waits for Sun 2031-01-05 10:00 Asia/Jerusalem: the other time in the file is ignored",
    "machine detection is Enable or DetectMessageEnd",
    "the reason must be one line, and holds a character that cannot be seen, U+0007: leave it out",
    *(
        f"the name of a {what} holds a character that cannot be seen, U+0007: leave it out"
        for what in ("business", "campaign", "window")
    ),
    "the name of the batch holds a character that cannot be seen, U+0007: leave it out",
    "field 2 of the contact holds a character that cannot be seen, U+0007: leave it out",
    "say how often one callee may be dialed per day: 1 to 9; say how often one callee may be dialed per week: 1 to 99",
    "no column is named `phones`: found are to, name",
    (
        "no column is named `to`, or as one that holds phone numbers: found are a, b.  Known are to, phone and their"
        " like; for another give `to_column` NAME"
    ),
    (
        "no column is named `to`, or as one that holds phone numbers: the first line is no line of names.  Known are"
        " to, phone and their like; for another give `to_column` NAME"
    ),
    *(f"there is no {what} 7: see `outbound {what} list`" for what in ("business", "campaign", "window")),
    *(f"there is no {what} named a: see `outbound {what} list`" for what in ("business", "campaign", "window")),
    *(f"there is no such {what}: see `outbound {what} list`" for what in ("business", "campaign")),
    *(f"2 {what} are named a: give the id of one: 7 a; 8 A" for what in ("businesses", "campaigns", "windows")),
    "there is no outbound call 7: `outbound enqueue` printed its id",
    "not UTF-8 text: it holds a NUL byte",
    "not windows-1255 text: save the file as CSV UTF-8",
    (
        "9 of the first 99 numbers are not valid without a country code, and business 3 has no region: `outbound"
        " business set 3 --region …`.  Nothing was queued.  With `anyway` the lines that are good are taken.  Most:"
        " `to` is empty: give a phone number"
    ),
    "a request with this Idempotency-Key is being answered: send it again in a second",
    "a call with this key or number is being written: send it again in a second",
    *(f"{line}is no JSON object" for line in ("", "line 3 ")),
    *(f"{line}holds nothing: give its fields, or leave the line out" for line in ("", "line 3 ")),
    *(f"{line}holds in `contact` neither a text nor a number" for line in ("", "line 3 ")),
    *(
        f"{line}holds an object in `contact`: write its fields beside the others, as texts or numbers"
        for line in ("", "line 3 ")
    ),
    *(f"{line}has more than 65536 bytes" for line in ("", "line 3 ")),
    *(f"{line}is no JSON that is read here: Expecting value at character 1" for line in ("", "line 3 ")),
    "the body is no JSON that is read here: Expecting value at character 1",
    "the reason must be one line of 200 characters at most",
    *(f"{what} is no text in UTF-8, as which JSON is sent: encode it so" for what in ("the body", "line 3")),
    "is no text in UTF-8, as which JSON is sent: encode it so",
    "calls at once are 0 to 1000000; calls per second are 0.001 to 1000; the priority is 0.01 to 100",
    "the age of the registry's answer is whole days 1 to 3650; the time limit is seconds, 10 to 86400",
    "dropped number 2 is not a phone number: write it like +97231234567",
    "number 2 is empty: give a phone number; own number 3 is empty: give a phone number",
    (
        "a campaign's name is one line of 100 characters at most, and this holds a character that cannot be seen,"
        " U+0007: leave it out"
    ),
    "a business needs a name, in one line, and this holds a character that cannot be seen, U+0007: leave it out",
    "no column is named `listed`: found are to, name; say in it `yes` or `no` for each number",
    (
        "no column is named `given_at`: found are to;"
        " say in it when each consent was given, or with `given_at` when all were"
    ),
    *(f"which {what}?  Give its id or name" for what in ("business", "campaign")),
    "which call?  Give its id, its CA…, its key or its number",
    "which number?  It is not a phone number: write it like +97231234567",
    "`due_at` may be day and month or month and day: in US both are met; write it like 2026-11-30T09:00",
    (
        "`due_at` may be day and month or month and day: IL has the day first, and line 7 the month; write it like"
        " 2026-11-30T09:00"
    ),
    "`due_at` needs an offset, like +02:00: the time zone Mars is unknown; or `outbound business set 3 --time-zone …`",
    (
        "`since` has no offset: write it like 2026-11-30T09:00+02:00, or give the date alone; or name the `business`"
        " whose clocks are meant"
    ),
    "call 7 does not wait any more: completed; `outbound call retry` makes it again",
    "the file is named like a workbook and is none: name a file of text .csv, or save it as .xlsx in a spreadsheet",
    "there is no batch named a: it is the name of the file, or what `batch` called it",
    "there is no batch named a: there is 7 b; 8 c and others",
    "there is no campaign named a: see `outbound campaign list`; there is 7 Recall; 8 Other and others",
    "there is no window 7 of business 3: see `outbound window list`",
    "there is no call with this number: give its id, its CA…, its key or its number; see `outbound calls`",
    (
        "9 of 10 lines are refused.  Nothing was queued.  With `anyway` the lines that are good are taken.  Most: `to`"
        " is empty: give a phone number"
    ),
    "what was given is not a phone number: write it like +97231234567",
)
_OF_NEWER_PYTHONS = ("Illegal trailing comma before end of object", "Illegal trailing comma before end of array")
_NO_MOMENTS = (
    *("soon", "0000-00-00", "1899-12-30", "2026-11-30", "2026-13-01", "2026-11-31", "2026-11-30 25:00", "1066-10-14"),
    *("01/02/2026", "01/02/26", "46000", "1764500000", "1.2.3.4", "26-11-30 09:00", "2026-11-30T09:00", "1900-01-00"),
)
_NO_ZONES = ("Mars", "EST", "GMT+3", "+02:00", "factory", "Jerusalem", "Israel Standard Time (x)", "", "CET")
_NO_HOURS = ("soon", "sun 9", "foo 09:00-20:00", "sun 25:00-26:00", "sun 09:00-09:00", "sun 20:00-09:00")
_NO_TWIML = (
    "<Response>",
    "<Say/>",
    "<!DOCTYPE x><Response/>",
    "<Response><Dial>{{a}}</Dial></Response>",
    "<Response/>" * 999,
)
_NO_CSV = (
    *(b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"%PDF", b"\x1f\x8b", b"BZh", b"7z\xbc\xaf", b"Rar!", b"SQLite format 3"),
    *(b"PAR1", b"{\\rtf", b"begin:vcard", b"<html>", b"[{", b"{"),
)
_NO_JSON = (
    *(b"", b"{", b"{1", b'{"a"', b'{"a":1', b'{"a":1}2', b'"\x01', b'"a\\q"', b'"\\u12"', b'"a', b"\xff", b"[1,]"),
    *(b"[" * 40, b'{"a":1,"a":2}', b'{"a":["\\u0000"]}', b'{"a":"\\ud800"}', b"NaN", b"1" * 50, b"1e999", b'{"a":1,}'),
)
_WHERE_NOT = ("", ", and the business has no region and no number")
_WHERE_NOT = ("", ", and the business has no region and no number")
_BAD_VALUES: tuple[Any, ...] = (
    *(None, True, 1.5, -1, 10**30, "", "x", "1.5", float("nan"), "x" * 5000, object()),
    *([], ["x"] * 2000, [None], {}, {"x": 1}, {str(n): "x" for n in range(200)}),
)


def _name(node: ast.Assign | ast.AnnAssign) -> str:
    return ast.unparse(node.target if isinstance(node, ast.AnnAssign) else node.targets[0])


def _says_nothing(node: ast.AST) -> bool:
    """Is what is in this node no text that a refusal says?"""
    if isinstance(node, ast.Call):
        return bool(_PURPOSES.fullmatch(ast.unparse(node.func)))
    if isinstance(node, ast.Subscript):
        return bool(_PURPOSES.fullmatch(ast.unparse(node.value)))
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return _name(node) in _NO_REFUSALS
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _text(node: ast.JoinedStr, own: dict[str, str]) -> str:
    parts = [part if isinstance(part, ast.Constant) else ast.unparse(part.value) for part in node.values]  # type: ignore[attr-defined]
    return "".join(str(part.value) if isinstance(part, ast.Constant) else own.get(part, "x") for part in parts)


def _constants(tree: ast.Module) -> dict[str, str]:
    """The texts that a module names, by their names."""
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
                found[_name(node)] = node.value.value
            elif isinstance(node.value, ast.JoinedStr):
                found[_name(node)] = _text(node.value, found)
    return found


def _says(text: str) -> bool:
    """Has a text words of its own, beside code and values?"""
    return " " in text.strip(" ,;") and len(re.sub(r"`[^`]*`|\bx+\b|[^a-z]", "", text)) > 5


def _texts(path: Path) -> Iterator[str]:
    """The texts of a module, an x at each place that is no text of the module itself."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes, own = list(ast.walk(tree)), _constants(tree)
    silent = {id(part) for node in nodes if _says_nothing(node) for part in ast.walk(node) if part is not node}
    for node in nodes:
        if id(node) in silent:
            continue
        if isinstance(node, ast.JoinedStr):
            yield _text(node, own)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _worded(text: str) -> str:
    """A refusal as the API words it: it calls the options of commands by the names of fields."""
    return problem.of_user_error(UserError(text)).detail


@pytest.mark.parametrize("module", _MODULES)
def test_each_refusal_of_a_module_has_a_text(module: str) -> None:
    begins = _MODULES[module] or ""
    said = {text for text in _texts(ROOT / "outbound" / f"{module}.py") if _says(text)}
    assert missing(_worded(begins + text) for text in said if _worded(text) not in _PARTS) == []


def test_a_refusal_without_a_text_is_found(tmp_path: Path) -> None:
    new = tmp_path / "new.py"
    new.write_text('def f():\n    raise BadCall(f"nobody has written {this} in Hebrew: do so")\n', encoding="utf-8")
    assert missing(map(_worded, _texts(new))) == ["nobody has written x in Hebrew: do so"]


def test_every_module_that_refuses_is_looked_through() -> None:
    below = ("api", "calls", "rules", "formats", "webhooks", "monitoring", "names.py")
    paths = [one for name in below for one in sorted((ROOT / "outbound" / name).rglob("*.py"))]
    refusing = {
        str(path.relative_to(ROOT / "outbound").with_suffix(""))
        for path in (*paths, ROOT / "outbound" / "names.py")
        if re.search(r"raise (?:Problem|Bad|No|Wrong|Not|Unknown|Kept|Cannot)", path.read_text(encoding="utf-8"))
    }
    assert refusing - _NOT_OF_THE_API <= set(_MODULES)
    assert refusing >= _NOT_OF_THE_API


def test_what_is_put_together_of_parts_has_a_text() -> None:
    assert missing(_WHOLE) == []


def test_whatever_is_not_there_has_a_text() -> None:
    paths = (path for name in ("api", "page") for path in (ROOT / "outbound" / name).rglob("*.py"))
    calls = re.compile(r"""(?:not_found\(|_own\([^"]*)"(\w+)"\)""")
    things = {found for path in paths for found in calls.findall(path.read_text(encoding="utf-8"))}
    assert {"call", "campaign", "scope", "window"} < things
    assert missing(problem.not_found(thing).detail for thing in things) == []


def _refusals(read: Callable[[Any], object], wrong: tuple[Any, ...], begins: str = "") -> list[str]:
    found = []
    for one in wrong:
        with pytest.raises((ValueError, UserError, Problem)) as refused:
            read(one)
        found.append(begins + str(refused.value))
    return found


def test_what_is_no_moment_no_zone_and_no_hours_is_refused_in_hebrew() -> None:
    zones = frozenset({"Asia/Jerusalem", "Europe/London"})
    assert missing(_refusals(lambda text: moments.read(text, None), _NO_MOMENTS, "`at` ")) == []
    assert missing(_refusals(lambda text: time_zones.present(text, zones), _NO_ZONES, "`time_zone` ")) == []
    assert missing(_refusals(weekly_hours.of_week, _NO_HOURS)) == []
    assert missing(_refusals(weekly_hours.of_week, ("sun 09:00-13:00, sun 10:00-14:00", "sun 20:00-00:00"))) == []


def test_a_file_that_is_no_csv_is_refused_in_hebrew() -> None:
    said = [file_text.binary(head) for head in _NO_CSV]
    assert missing(f"the file {fault}" for fault in said) == []
    assert None not in said


def test_what_is_no_voice_and_no_retry_policy_is_refused_in_hebrew() -> None:
    assert missing(fault.sentence for twiml in _NO_TWIML for fault in twiml_template.faults(None, twiml)) == []
    assert missing(retry_policy._read("late: 5m; busy: soon; busy: 1m")[1]) == []


def test_a_body_that_is_no_json_is_refused_in_hebrew() -> None:
    assert missing(_refusals(json_body.parse, _NO_JSON)) == []
    assert missing(_refusals(lambda body: json_body.parse(body, "line 7"), _NO_JSON)) == []


def _fields(model: Any) -> Iterator[str]:
    for one in (model, *get_args(model)):
        for name, field in getattr(one, "model_fields", {}).items():
            yield field.alias or name


def _faults(route: Operation) -> Iterator[Any]:
    """What pydantic finds wrong with each field of an operation, and with its whole body."""
    texts = (  # of the path: what can be no id does not come as far as this
        one
        for one in route.dependant.path_params
        if not isinstance(route.param_convertors[one.alias], IntegerConvertor)
    )
    for parameter in (*route.dependant.query_params, *texts):
        for value in _BAD_VALUES:
            yield from parameter.validate(value, {}, loc=("query", parameter.alias))[1] or []
    if route.body_field is None:
        return
    model: Any = route.body_field.field_info.annotation
    bodies = (*_BAD_VALUES, *({name: value} for name in (*_fields(model), "new") for value in _BAD_VALUES))
    for body, is_by_frame in product(bodies, (True, False)):  # the frame reads bodies so; Direct does not
        try:
            TypeAdapter(model).validate_python(body, from_attributes=is_by_frame)
        except ValidationError as error:
            yield from error.errors(include_url=False)


@cache
def _all_faults() -> frozenset[tuple[str, str]]:
    """The kinds of what may be wrong with a field, and the sentences."""
    routes = [route for router in app.ROUTERS for route in router.routes if isinstance(route, Operation)]
    return frozenset((fault["type"], problem.sentence_of(fault)) for route in routes for fault in _faults(route))


def test_whatever_is_wrong_with_a_field_is_said_in_hebrew() -> None:
    assert len({kind for kind, _ in _all_faults()}) > 15
    assert missing(sentence for _, sentence in _all_faults()) == []


def _sql_texts(name: str) -> list[str]:
    """The sentences of a function in SQL, an x at each place."""
    text = (ROOT / "sql" / "functions" / f"{name}.sql").read_text(encoding="utf-8")
    joined = re.sub(r"'\s*\n\s*'", "", text.partition("\nreturn")[2] or text)
    found = [re.sub(r"%(?:\d\$)?s", "x", one.replace("''", "'")) for one in re.findall(r"'((?:[^']|'')*)'", joined)]
    return [one for one in found if " " in one.strip()]


def test_what_the_database_refuses_has_a_text() -> None:
    codes = _sql_texts("refused_call_sentence")
    assert len(codes) > 5
    assert missing(codes) == []
    places = [one for one in _sql_texts("destination_sentence") if one.startswith(("Calls", "It is"))]
    assert len(places) == 3
    places = [one.replace("allowedx", "allowed").replace("xx:", "x:") for one in places]
    places += [f"Calls to x are not allowed{more}: `outbound destination allow x` opens them." for more in _WHERE_NOT]
    kinds = [one for one in _sql_texts("destination_sentence") if one.startswith(("a ", "no ", "the "))]
    assert len(kinds) > 6
    assert missing([*places, *kinds]) == []
    canceled = [one for one in _sql_texts("cancel_call") if one.startswith(("the reason", "there is", "call x"))]
    assert len(canceled) == 4
    assert missing(canceled) == []


def test_no_text_is_left_of_a_sentence_that_nobody_says() -> None:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "outbound").rglob("*.py")]
    sources = [
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    sources += [
        re.sub(r"'\s*\n\s*(?:\|\| )?'", "", path.read_text(encoding="utf-8")).replace("''", "'")
        for path in (ROOT / "sql").rglob("*.sql")
        if "migrations" not in path.parts
    ]
    sources += [*_WHOLE, *test_sentences.WHOLE, *test_answers.SENTENCES, *_OF_NEWER_PYTHONS]
    sources += [sentence for _, sentence in _all_faults()]
    sources += [inspect.getsource(decoder), inspect.getsource(scanner)]
    said = "\n".join(sources).lower().replace("\\\\", "\\")
    longest = {
        text: max(re.split(r"\{\w+\}|[:;,(.`]", text), key=len).strip().lower() for text in test_sentences.HEBREW
    }
    joints = re.compile(r"^(s|or|and|with) | (this host|and its time line|since)$")  # where a text is put together
    longest = {text: joints.sub("", part) for text, part in longest.items()}
    assert [text for text, part in longest.items() if part.replace("calls per day", "calls per ") not in said] == []
