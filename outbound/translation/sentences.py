"""Says in another language what the program says in English, by the template of each sentence."""

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

FOLDER = Path(__file__).parent
PLACE = re.compile(r"\{(\w+)\}")  # of a value in a text
ISOLATED = "\u2068{}\u2069"  # of a direction of its own, where no element can say so
_LENGTH_MAX = 2000  # characters; a longer text stays as it is
_PIECES_MAX = 50  # of a text; of one that has more, none is looked for by itself
_DEPTH_MAX = 4  # of texts that are values of others
_WORD = re.compile("[a-z]{2}")  # a text of ours has one
_SENTENCE = re.compile(r"(?<=[.!?])( )(?=[^a-z])")  # what stands between two of them
_FAULT = re.compile(r"(; )")
_ITEM = re.compile(r"(, )")
_KEPT = frozenset({"id", "key", "n", "name", "names", "number", "text", "url"})  # places of what is no text of ours


class Piece(NamedTuple):
    """
    A part of a translated text: what is said, a value that stays as it is, code, without its backticks, or a sentence
    that has no text in the other language.
    """

    text: str
    kind: Literal["text", "value", "code", "english"]


class _Template(NamedTuple):
    """An English sentence cut at its places, the names of these, and the sentence in another language."""

    parts: list[str]
    names: list[str]
    translation: str


class _Index(NamedTuple):
    """The templates: those without places by their text, the others, numbered from the narrowest on, by a word."""

    whole: dict[str, str]
    by_word: dict[str, list[tuple[int, _Template]]]


@cache
def catalogue(language: str) -> dict[str, str]:
    """The templates by their English text; none for English."""
    path = FOLDER / f"sentences.{language}.json"
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


@cache
def _index(language: str) -> _Index:
    texts = catalogue(language)
    found = [_Template(PLACE.split(text)[::2], PLACE.findall(text), said) for text, said in texts.items()]
    templates = sorted((one for one in found if one.names), key=_width)
    counts = Counter(word for one in templates for word in _words(one.parts))
    by_word: dict[str, list[tuple[int, _Template]]] = {}
    for place, one in enumerate(templates):
        rarest = min(_words(one.parts), key=counts.__getitem__)
        by_word.setdefault(rarest, []).append((place, one))
    return _Index({text: said for text, said in texts.items() if not PLACE.search(text)}, by_word)


def _width(template: _Template) -> tuple[int, int]:
    """What the templates are ordered by: the narrowest that fits, with the most text of its own, is meant."""
    return -sum(map(len, template.parts)), len(template.names)


def _words(parts: list[str]) -> list[str]:
    """The words between spaces that each text has which fits: those that touch no value."""
    last = len(parts) - 1
    found = [part.split(" ")[place > 0 : None if place == last else -1] for place, part in enumerate(parts)]
    return [word for words in found for word in words if word]


def plain(text: str, language: str) -> str | None:
    """
    An English text in another language, as plain text; None where no template fits it.

    Values and code stand in isolates (U+2068, U+2069), so that a plus, a slash or a date stays at its place.
    """
    found = translated(text, language)
    return None if found is None else "".join(map(_plain, found))


def said(text: str, language: str) -> tuple[str, bool]:
    """An English text in another language as `plain` has it, or as it is; and is it said whole."""
    found = translated(text, language)
    if found is None:
        return text, False
    return "".join(map(_plain, found)), all(piece.kind != "english" for piece in found)


def _plain(piece: Piece) -> str:
    if piece.kind == "text":
        return piece.text
    return ISOLATED.format(f"`{piece.text}`" if piece.kind == "code" else piece.text)


def translated(text: str, language: str, depth: int = 0) -> list[Piece] | None:
    """
    An English text in another language; None where no template fits it.

    Args:
        text: a sentence, or several, or a list of such.
        depth: of how many others it is a value.
    """
    if len(text) > _LENGTH_MAX or depth > _DEPTH_MAX or not _WORD.search(text):
        return None
    return (
        _cut(text, _SENTENCE, language, depth)
        or _cut(text, _FAULT, language, depth)
        or _cut(text, _ITEM, language, depth)
        or _of_template(text, language, depth)
        or _cut(text, _SENTENCE, language, depth, is_in_part=True)
        or _cut(text, _FAULT, language, depth, is_in_part=True)
    )


def _cut(
    text: str, between: re.Pattern[str], language: str, depth: int, *, is_in_part: bool = False
) -> list[Piece] | None:
    """The pieces of a text, each by its template; None where one has none: *in part*, where all have none."""
    pieces = between.split(text, _PIECES_MAX)
    if not 1 < len(pieces) < 2 * _PIECES_MAX:
        return None
    known = [_of_template(piece, language, depth) for piece in pieces[::2]]
    if not (any(known) if is_in_part else all(known)):
        return None
    shown = [one or [Piece(piece, "english")] for one, piece in zip(known, pieces[::2], strict=True)]
    return [*shown[0], *(part for one in shown[1:] for part in (Piece(pieces[1], "text"), *one))]


def _of_template(text: str, language: str, depth: int) -> list[Piece] | None:
    index = _index(language)
    if text in index.whole:
        return _filled(index.whole[text], {}, language, depth)
    may_fit = [one for word in set(text.split(" ")) for one in index.by_word.get(word, ())]
    for _, template in sorted(may_fit):
        if (values := _values(template.parts, text)) is not None:
            return _filled(template.translation, dict(zip(template.names, values, strict=True)), language, depth)
    return None


def _values(parts: list[str], text: str) -> list[str] | None:
    """What stands at the places between these parts, each as short as can be; None where they are not all there."""
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


def _filled(sentence: str, values: dict[str, str], language: str, depth: int) -> list[Piece]:
    """A sentence with values in it; what stands between backticks is code, and a value there stays as it is."""
    pieces: list[Piece] = []
    for place, part in enumerate(sentence.split("`")):
        if place % 2:
            pieces.append(Piece(PLACE.sub(lambda found: values[found[1]], part), "code"))
            continue
        for number, text in enumerate(PLACE.split(part)):
            if number % 2:
                pieces += _value(text, values[text], language, depth)
            elif text:
                pieces.append(Piece(text, "text"))
    return pieces


def _value(name: str, text: str, language: str, depth: int) -> list[Piece]:
    found = None if name in _KEPT else translated(text, language, depth + 1)
    return found or [Piece(text, "value")]
