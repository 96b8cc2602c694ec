"""The page's texts in a language: catalogues, plurals, numbers and moments.  The only file that imports Babel."""

import json
import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale, dates, numbers, units
from markupsafe import Markup, escape

from outbound.formats import phone_numbers
from outbound.translation import sentences

_FOLDER = Path(__file__).parent / "words"
LANGUAGES = {"en": "ltr", "he": "rtl"}
_FIRST_DAYS = {"en": 0, "he": 6}  # of a week, after Monday
_PHONE = re.compile(r"\+\d{6,15}")

Text = str | Mapping[str, str]


@cache
def catalogue(language: str) -> dict[str, Text]:
    """
    The texts of a language by key; one that depends on a number is a mapping by the plural's category.

    What other parts of the program say too, word for word, has its text in `outbound/translation` alone.
    """
    found: dict[str, Text] = json.loads((_FOLDER / f"{language}.json").read_text(encoding="utf-8"))
    if language == "en":
        return found
    said = sentences.catalogue(language)
    shared = {key: said[text] for key, text in catalogue("en").items() if isinstance(text, str) and text in said}
    return dict(sorted((shared | found).items()))


@cache
def of(language: str) -> "Words":
    """The words of `en` or `he`."""
    return Words(language)


class Words:
    """
    What the page says in one language.

    Called with a key it gives the text as markup: a number or id stands in an element of its own direction, so that a
    plus sign or a minus stays at its place in Hebrew.
    """

    def __init__(self, language: str) -> None:
        self.language = language
        self.direction = LANGUAGES[language]
        self._locale = Locale.parse(language)
        self._texts = catalogue(language)

    def __call__(self, key: str, **values: Any) -> Markup:
        """The text of a key with these values in it, as markup."""
        text = self._text(key, values)
        parts = enumerate(sentences.PLACE.split(text))
        return Markup("").join(self.value(values[part]) if place % 2 else escape(part) for place, part in parts)

    def plain(self, key: str, **values: Any) -> str:
        """The text of a key as plain text, for an attribute or a title."""
        text = self._text(key, values)
        return sentences.PLACE.sub(lambda found: sentences.ISOLATED.format(self._plain(values[found[1]])), text)

    def has(self, key: str) -> bool:
        """Is there a text of this key?"""
        return key in self._texts

    def either(self, key: str, text: str | None, **values: Any) -> Markup:
        """The text of a key; where there is none, an English sentence."""
        if self.has(key):
            return self(key, **values)
        return self.sentence(text or key)

    def sentence(self, text: str) -> Markup:
        """An English sentence of another part of the program: in the language where that has a text, else as it is."""
        found = sentences.translated(text, self.language)
        if found is None:
            return Markup('<span lang="en" dir="ltr">{}</span>').format(_coded(text))
        return Markup("").join(map(self._piece, found))

    def _piece(self, piece: sentences.Piece) -> Markup:
        if piece.kind == "text":
            return escape(piece.text)
        if piece.kind == "code":
            return _code(piece.text)
        return self.ltr(_coded(piece.text)) if "`" in piece.text else self.value(piece.text)

    def _text(self, key: str, values: Mapping[str, Any]) -> str:
        text = self._texts[key]
        if isinstance(text, str):
            return text
        return text.get(self._locale.plural_form(values["n"])) or text["other"]

    def value(self, value: Any) -> Markup:
        """One value as markup: isolated, escaped, a number as the language writes it."""
        if isinstance(value, Markup):
            return value
        if isinstance(value, bool | int | float):
            return self.ltr(self.number(value))
        return self.ltr(value) if _PHONE.fullmatch(str(value)) else Markup("<bdi>{}</bdi>").format(value)

    def _plain(self, value: Any) -> str:
        return self.number(value) if isinstance(value, bool | int | float) else str(value)

    def ltr(self, text: Any) -> Markup:
        """What is written from left to right in every language: a number, an id, a word of code."""
        return Markup('<bdi dir="ltr">{}</bdi>').format(text)

    def number(self, value: float) -> str:
        """A number as the language writes it, with one digit behind the point where it is no whole one."""
        return str(numbers.format_decimal(round(value, 1), locale=self._locale))

    def percent(self, part: float, whole: float) -> str:
        """A share; a dash of nothing."""
        return str(numbers.format_percent(part / whole, locale=self._locale)) if whole else "\u2013"

    def bounded(self, value: int, most: int) -> Markup:
        """A number that was counted up to a bound."""
        return self.ltr(f"{self.number(most)}+" if value >= most else self.number(value))

    def duration(self, seconds: float | None) -> str:
        """A duration in its two largest units, like `1 h 10 min`; a dash of None."""
        if seconds is None:
            return "\u2013"
        parts: list[str] = []
        rest = max(0, int(seconds))
        for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
            count, rest = divmod(rest, length)
            if count or (unit == "second" and not parts):
                parts.append(units.format_unit(count, f"duration-{unit}", length="short", locale=self._locale))
            if parts and (len(parts) == 2 or unit == "second"):
                break
        return " ".join(parts)

    def moment(self, at: datetime | str | None, zone: str, *, seconds: bool = False) -> Markup:
        """A moment in a time zone: the time alone where it is today, else with its day; a dash of None."""
        if at is None:
            return Markup("\u2013")
        read = datetime.fromisoformat(at) if isinstance(at, str) else at
        local = read.astimezone(ZoneInfo(zone))
        time = local.strftime("%H:%M:%S" if seconds else "%H:%M")
        today = datetime.now(ZoneInfo(zone)).date()
        if local.date() == today:
            shown = self.ltr(time)
        else:
            pattern = "d MMM" if abs(local.date() - today) < timedelta(days=300) else "d MMM y"
            day = dates.format_date(local.date(), pattern, locale=self._locale)
            shown = Markup("{}, {}").format(day, self.ltr(time))
        return Markup('<time datetime="{}">{}</time>').format(read.isoformat(), shown)

    def weekdays(self) -> list[tuple[int, str]]:
        """The days of a week in the order of the language, each with its place after Monday."""
        names = dates.get_day_names("wide", locale=self._locale)
        first = _FIRST_DAYS[self.language]
        return [(place % 7, str(names[place % 7])) for place in range(first, first + 7)]

    def date(self, at: date | str) -> str:
        """A day with its weekday and year, like `Mon, 31 Dec 2029`."""
        day = date.fromisoformat(at) if isinstance(at, str) else at
        return str(dates.format_date(day, "EEE, d MMM y", locale=self._locale))

    def zone(self, name: str) -> str:
        """What people call a time zone, like `Israel Time`."""
        return name if name == "UTC" else str(dates.get_timezone_name(ZoneInfo(name), locale=self._locale))


def _coded(text: str) -> Markup:
    """A text in which what stands between backticks is shown as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup("").join(_code(part) if place % 2 else escape(part) for place, part in enumerate(parts))


def _code(text: str) -> Markup:
    return Markup('<code dir="ltr">{}</code>').format(text)


def masked(number: str | None) -> str:
    """A phone number without its last two digits; '' of None."""
    return f"{number[:-2]}\u2022\u2022" if number else ""


def masked_in(text: str) -> str:
    """A text in which each phone number is masked."""
    return _PHONE.sub(lambda found: masked(found[0]), text)


def spaced(number: str | None) -> str:
    """A number in E.164 as people read it; '' of None."""
    return phone_numbers.spaced(number) if number else ""
