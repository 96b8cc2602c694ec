"""Says in another language what the program says in English, by the template of each sentence."""

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup, escape

FOLDER = Path(__file__).parent
PLACE = re.compile(r"\{(\w+)\}")  # of a value in a text
_PART = re.compile(r"(`|\{\w+\})")
_LENGTH_MAX = 2000  # characters; a longer text stays as it is
_SENTENCE = re.compile(r"(?<=[.!?])( )(?=[^a-z])")  # what stands between two of them
_ITEM = re.compile(r"(, )")

Shown = Callable[[str], Markup]


class Template(NamedTuple):
    """An English sentence cut at its places, the names of these, and the sentence in another language."""

    parts: list[str]
    names: list[str]
    translation: str


@cache
def catalogue(language: str) -> dict[str, str]:
    """The templates by their English text; none for English."""
    path = FOLDER / f"sentences.{language}.json"
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


@cache
def _templates(language: str) -> list[Template]:
    """Those that have the most text of their own first: it is the narrowest that fits which is meant."""
    found = [
        Template(PLACE.split(text)[::2], PLACE.findall(text), translation)
        for text, translation in catalogue(language).items()
    ]
    return sorted(found, key=lambda one: (-sum(map(len, one.parts)), len(one.names)))


def translated(text: str, language: str, show: Shown) -> Markup | None:
    """
    An English text in another language; None where no template fits it.

    Args:
        text: a sentence, or several, or a list of such.
        show: how what stays as it is stands in the answer: a name, a number, an address.
    """
    if len(text) > _LENGTH_MAX:
        return None
    return (
        _cut(text, _SENTENCE, language, show)
        or _cut(text, _ITEM, language, show)
        or _of_template(text, language, show)
        or _cut(text, _SENTENCE, language, show, is_in_part=True)
    )


def _cut(text: str, between: re.Pattern[str], language: str, show: Shown, *, is_in_part: bool = False) -> Markup | None:
    """The pieces of a text, each by its template; None where one has none: *in part*, where all have none."""
    pieces = between.split(text)
    if len(pieces) == 1:
        return None
    known = [_of_template(piece, language, show) for piece in pieces[::2]]
    if not (any(known) if is_in_part else all(known)):
        return None
    shown = [one or show(piece) for one, piece in zip(known, pieces[::2], strict=True)]
    return escape(pieces[1]).join(shown)


def _of_template(text: str, language: str, show: Shown) -> Markup | None:
    for template in _templates(language):
        values = _values(template.parts, text)
        if values is not None:
            return _filled(template.translation, dict(zip(template.names, values, strict=True)), language, show)
    return None


def _values(parts: list[str], text: str) -> list[str] | None:
    """What stands at the places between these parts, each as short as can be; None where they are not all there."""
    if len(parts) == 1:
        return [] if text == parts[0] else None
    first, *middle, last = parts
    if not (text.startswith(first) and text.endswith(last)) or len(text) < len(first) + len(last):
        return None
    at, end, values = len(first), len(text) - len(last), []
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return None
        values.append(text[at:found])
        at = found + len(part)
    return [*values, text[at:end]]


def _filled(sentence: str, values: dict[str, str], language: str, show: Shown) -> Markup:
    """A sentence with values in it; what stands between backticks is code, and a value there stays as it is."""
    pieces, in_code = [], False
    for part in _PART.split(sentence):
        if part == "`":
            in_code = not in_code
            pieces.append(Markup('<code dir="ltr">') if in_code else Markup("</code>"))
        elif part.startswith("{") and not in_code:
            value = values[part[1:-1]]
            pieces.append(translated(value, language, show) or show(value))
        else:
            pieces.append(escape(values[part[1:-1]] if part.startswith("{") else part))
    return Markup("").join(pieces)


def coded(text: str) -> Markup:
    """A text in which what stands between backticks is shown as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup("").join(
        Markup('<code dir="ltr">{}</code>').format(part) if place % 2 else escape(part)
        for place, part in enumerate(parts)
    )
