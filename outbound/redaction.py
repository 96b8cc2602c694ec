"""
Takes out of log lines phone numbers, logins and tokens, rows that PostgreSQL repeats, and unseen characters.

Ids, call_sids, times and counts stay.  A bare group of digits counts as a phone number where no name says what it is,
where it is as long as one with its country code (9 to 15 digits; 11 where it begins with 1), and where it is no time.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from outbound.formats import plain_text, urls

MASK = "+…"

# PostgreSQL shows the whole row that it refuses, with what is known of the callee.
_ROW = re.compile(r"\b(DETAIL|CONTEXT):.*?(?=\\n\S|\n\S|\Z)", re.DOTALL)

# What a value is called that is somebody's number, alone or as the end of its name: to_number.
_NUMBERS_NAME = (
    r"(?:from|to|phone|number|caller|called|callee|msisdn|recipient|destination|dest|dst|tel|telephone|mobile|cell"
    r"|ani|dnis|cli|dialed|dialled)"
)
# A word that says of a bare group of digits behind it that it is no phone number.
_IDS_NAME = (
    r"(?i:(?<!caller[ _])(?<![A-Za-z])(?:ids?|leads?|business(?:es)?|campaigns?|batch|rows?|jobs?|pid|process|code"
    r"|fence|port|epoch|transaction|xid|oid|total|count|offset|size|length|page|version|timestamp)"
    r"(?:[ ]id)?[ ]?[#:]?[ ])"
)
_SECRETS_NAME = re.compile(r"(?:password|secret|token|api_?key|authorization|signature)$", re.IGNORECASE)
_UNIT = r"[ ]?(?:bytes?|[kMGT]i?B|B|ns|us|µs|ms|s|seconds?|rows?|requests?|messages?|%)(?!\w)"
_TIME = (
    r"1\d{9}(?!\d) | 1\d{12}(?!\d)"  # seconds and milliseconds since 1970: no country's numbers have so many digits
    r" | (?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\d{6})(?!\d)"  # 20261130090000
)
_ALONE = r"""(?<![\w.+/:=-]) (?<!=[ ]) (?<!['"]:[ ])"""
_END = r"(?! \w | [.:-]\w | / )"

_PHONE = re.compile(
    rf"""
    (?: \+ | %2[Bb] ) \(? [1-9] (?: [ ().-]{{0,2}} \d ){{6,14}}                       # +15005550101, +1 (500) 555-0101
    | (?<![\w.-]) (?: 00 | 011 ) [ -]? [1-9] (?: [ -]? \d ){{6,14}} (?! \w )            # 00972501234567, 011 972 50 …
    | (?<![\w.-]) 0 [1-9] (?: [ -]? \d ){{7,9}} (?! \w | [.-]\w )                      # 0501234567, 050-123-4567
    | (?<![\w.-]) (?: \(\d{{2,4}}\)[ ]? | \d{{3}}[ .-] ) \d{{3}}[ .-]\d{{4}} (?! \w | [.-]\w )  # (500) 555-0101
    | (?<![\w.-]) (?= (?: -? \d ){{10,15}} (?! \w | -\w ) ) [1-9]\d{{0,2}} (?: -\d{{1,4}} ){{1,3}} -\d{{4}}  # 972-50-…
    | (?<![\w.-]) [1-9]\d{{0,2}} [ ] \d{{2,4}} [ ] (?: \d{{3}} [ -]? \d{{4}} | \d{{6}} ) (?! \w | [.:-]\w )  # 972 50 …
    | (?<= ['"] ) \d{{7,15}} (?= \\? ['"] )                # an argument in quotes; ids are not, or begin with letters
    | (?P<said> (?: (?<![A-Za-z]) (?i:{_NUMBERS_NAME}) | (?<=[a-z]) (?:Number|Phone|Caller|Called|To|From) )
        ['"]? \s* [=:] \s* | / (?i: phone_?numbers? | numbers? | phones? | lookups? ) / ) \d{{7,15}} (?! \w )
    | (?P<id> {_IDS_NAME} \d+ )                            # stays
    | {_ALONE} (?! {_TIME} ) (?: 1\d{{10}} | [2-9]\d{{8,14}} ) (?! \d | {_UNIT} ) {_END}
    """,
    re.VERBOSE,
)
_URI = re.compile(r"\b(sips?|tel|callto|whatsapp|h323|skype)(:|%3[Aa])(?://)?[^\s'\"<>,;)\]}]+", re.IGNORECASE)
_WORDS = re.compile(
    r"""
    \b (?P<how> bearer ) [ ]+ (?! (?:token|realm|auth\w*) \b ) [^\s'",;}]{4,}
    | \b (?P<prefix> whsec_ | outb_ ) [\w+/=-]+  # a secret of a webhook, a token of the API
    | \b (?P<basic> basic ) [ ]+ (?= [A-Za-z0-9+/]* [0-9=] ) [A-Za-z0-9+/]{6,} ={0,2}
    | (?P<name> \b authorization ['"]? \s* [=:] \s* ['"]? ) (?: \w+ [ ]+ )? [^\s'",;}]+
    | (?P<secret> (?: [\w-]* (?: password | passwd | pwd ) ['"]? \s* [=:] \s*
                    | [\w-]* (?: secret | token | api[_-]?key | cookie | signature ) (?: ['"] \s* : \s* | ['"]? = )
                    | x-twilio-signature : \s* ) ['"]? )
        (?! (?: None | null | true | false ) \b ) [^\s&'",;)}\]]+
    """,
    re.VERBOSE | re.IGNORECASE,
)

# What none of the above finds anything in has none of these; most values have none, and this is a tenth of the work.
_SUSPECT = re.compile(
    r"\d[\d ().-]{5,}\d|DETAIL:|CONTEXT:|://|(?i:password|passwd|pwd|secret|token|api.?key|signature|cookie|bearer|basic"
    r"|authorization|whsec_|outb_|sips?(?::|%3a)|tel(?::|%3a)|callto|whatsapp|h323|skype)"
)


def masked(name: str, value: Any) -> Any:
    """A value of a log line, under its name, without what must not leave the process."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, Mapping):
        return {_text("", str(key)): masked(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [masked(name, inner) for inner in value]
    text = str(value)
    if _SECRETS_NAME.search(name):
        return "…"
    if isinstance(value, int):
        return value if _hidden(f"{name}=", text) == text else MASK
    return _text(f"{name}: ", text)


def _text(name: str, text: str) -> str:
    if not text.isascii():
        folded = "".join(map(_plain, text))
        hidden = _hidden(name, folded)
        return plain_text.visible_lines(text if hidden == folded else hidden)
    return plain_text.visible_lines(_hidden(name, text))


def _hidden(name: str, text: str) -> str:
    named = name + text  # a number may be known by what it is called alone, as in to=15005550101
    if not _SUSPECT.search(named):
        return text
    hidden = _WORDS.sub(_without_word, urls.without_password(_ROW.sub(r"\1: …", named)))
    hidden = _PHONE.sub(_without_number, _URI.sub(r"\1\2…", hidden))
    return hidden.removeprefix(name)


def _without_word(found: re.Match[str]) -> str:
    word = found["how"] or found["basic"]
    return f"{word} …" if word else f"{found['prefix'] or found['name'] or found['secret']}…"


def _without_number(found: re.Match[str]) -> str:
    return found[0] if found["id"] else f"{found['said'] or ''}{MASK}"


def _plain(character: str) -> str:
    """A plain digit, plus, dash or space in place of any other writing of it, and nothing for what cannot be seen."""
    if character.isascii():
        return character
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if character in "\uff0b\ufe62":
        return "+"
    return {"Cf": "", "Pd": "-", "Zs": " "}.get(category, character)
