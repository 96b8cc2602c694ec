"""
The rows of number_range, made of libphonenumber's tables; `python -m tests.number_ranges` prints them as 0030 has them.

Ranges follow each other without a gap, in the order of their digits: a number belongs to the last one whose first
digits are not behind it.  All numbers of a range that have the same length are of one country and of one kind.
"""

from __future__ import annotations

import re
import textwrap
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import phonenumbers
from phonenumbers import PhoneMetadata

LENGTH_MIN, LENGTH_MAX = 7, 15  # digits of a number in E.164, as call_log takes it

# libphonenumber's kinds, in the order in which it asks for them.
KINDS = {
    "premium_rate": "p",
    "toll_free": "o",
    "shared_cost": "c",
    "voip": "o",
    "personal_number": "r",
    "pager": "g",
    "uan": "u",
    "voicemail": "v",
    "fixed_line": "o",
    "mobile": "o",
}
UNKNOWN, NEVER = "-", "x"
SHORT_MAX = 6  # digits of a short code; a number of so few that is none of its country's could be one
# What libphonenumber does not say.  Of these calling codes every number costs what a satellite's, a premium line's or a
# shared-cost line's does, whatever it looks like.
WHOLE_CODES = {"870": "s", "881": "s", "882": "s", "883": "s", "979": "p", "808": "c"}
# Behind so many digits of a number inside its country, gaps among ordinary numbers are left out: they are opened before
# the tables know it, and most rows would be about them.
DIGITS_TOLD = 2
PREMIUM_EXCHANGE = r"[2-9]\d{2}976\d{4}"  # of any area code of +1
TEST_NUMBERS = r"500[2-9]\d{6}"  # of +1: personal numbers, of which Twilio's test credentials and ours take some

Kind = tuple[str | None, str]  # a country's two letters, and one letter of KINDS
Kinds = dict[int, Kind]  # by the number's length, digits


class Range(NamedTuple):
    """The numbers from *first* on: their country, and the letter of their kind for 7 to 15 digits."""

    first: str
    region: str | None
    kinds: str


def ranges() -> list[Range]:
    """All of them, in order."""
    merged: list[tuple[str, Kinds]] = []
    for first, kinds in _every():
        both = _united(merged[-1][1], kinds) if merged else None
        if both is None:
            merged.append((first, kinds))
        else:
            merged[-1] = merged[-1][0], both
    return [Range(first, _region(kinds), _letters(kinds)) for first, kinds in merged]


def _united(one: Kinds, other: Kinds) -> Kinds | None:
    """Both, where they do not contradict each other; a length that neither has is nobody's."""
    if any(other.get(length, kind) != kind for length, kind in one.items()):
        return None
    both = one | other
    return both if len(_regions(both)) < 2 else None


def _region(kinds: Kinds) -> str | None:
    regions = _regions(kinds)
    ordinary = {region for region, letter in kinds.values() if letter == "o"}
    assert len(ordinary) < 2, kinds
    # Canada's 310 1234 is no longer than that, and begins like Los Angeles: only whose ordinary numbers are, is asked.
    return next(iter(ordinary or sorted(regions)), None)


def _regions(kinds: Kinds) -> set[str]:
    return {region for region, letter in kinds.values() if region and letter not in (UNKNOWN, NEVER)}


def _letters(kinds: Kinds) -> str:
    return "".join(kinds.get(length, (None, UNKNOWN))[1] for length in range(LENGTH_MIN, LENGTH_MAX + 1))


def _every() -> Iterator[tuple[str, Kinds]]:
    codes = {str(code) for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE}
    waiting = [str(digit) for digit in range(9, 0, -1)]
    while waiting:
        prefix = waiting.pop()
        if prefix in codes:
            yield from _Plan(prefix).ranges()
        elif any(code.startswith(prefix) for code in codes):
            waiting += [f"{prefix}{digit}" for digit in range(9, -1, -1)]
        else:
            yield prefix, dict.fromkeys(range(LENGTH_MIN, LENGTH_MAX + 1), (None, UNKNOWN))


class _Plan:
    """The numbers of one calling code."""

    def __init__(self, code: str) -> None:
        self._code = code
        self._regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[int(code)]
        self._metadata = {
            region: metadata
            for region in self._regions
            if (metadata := PhoneMetadata.metadata_for_region_or_calling_code(int(code), region)) is not None
        }
        self._automaton = _Automaton()
        self._lengths: dict[tuple[str, str], frozenset[int]] = {}
        for region, metadata in self._metadata.items():
            if metadata.leading_digits:
                self._automaton.add(metadata.leading_digits, (region, "leading"), rest=True)
            for kind in ("general_desc", *KINDS):
                self._add(region, kind, getattr(metadata, kind))
            for pattern in _lookalikes(region, metadata):
                self._automaton.add(pattern, ("", "lookalike"), rest=True)
        if code == "1":
            self._automaton.add(PREMIUM_EXCHANGE, ("", "p"))
            self._automaton.add(TEST_NUMBERS, ("", "t"))
        self._shortest = min(
            length for (_, kind), lengths in self._lengths.items() if kind != "general_desc" for length in lengths
        )
        self._uniform_at: dict[tuple[frozenset[int], int], Kinds | None] = {}
        self._all_at: dict[tuple[frozenset[int], int], dict[int, set[Kind]]] = {}

    def _add(self, region: str, kind: str, numbers: object) -> None:
        pattern = getattr(numbers, "national_number_pattern", None)
        if pattern and pattern != "NA":
            self._automaton.add(pattern, (region, kind))
            lengths = frozenset(getattr(numbers, "possible_length", ())) - {-1}
            self._lengths[region, kind] = lengths or frozenset(range(1, LENGTH_MAX + 1))

    def ranges(self) -> Iterator[tuple[str, Kinds]]:
        yield from self._visit(self._code, self._automaton.begin, self._code, {})

    def _visit(self, prefix: str, states: frozenset[int], first: str, above: Kinds) -> Iterator[tuple[str, Kinds]]:
        """The ranges below *prefix*; *above* is of the numbers from *first* to it that are shorter."""
        uniform = self._uniform(states, len(prefix))
        if uniform is None and len(prefix) >= len(self._code) + DIGITS_TOLD:
            uniform = self._in_use(states, len(prefix))
        if uniform is not None:
            yield first, above | uniform
            return
        above = above | self._here(states, len(prefix))
        for digit in "0123456789":
            to = self._automaton.step(states, digit)
            if digit == "0":
                yield from self._visit(prefix + digit, to, first, above)
            else:
                yield from self._visit(prefix + digit, to, prefix + digit, {})

    def _uniform(self, states: frozenset[int], length: int) -> Kinds | None:
        """The kinds of all that begins here, where they depend on nothing but the length."""
        key = (states, length)
        if key not in self._uniform_at:
            self._uniform_at[key] = self._find_uniform(states, length)
        return self._uniform_at[key]

    def _find_uniform(self, states: frozenset[int], length: int) -> Kinds | None:
        here = self._here(states, length)
        if length == LENGTH_MAX:
            return here
        if not states:  # what matches nothing: too short, or unknown
            return {n: self._kind(frozenset(), n) for n in range(max(length, LENGTH_MIN), LENGTH_MAX + 1)}
        below = None
        for digit in "0123456789":
            kinds = self._uniform(self._automaton.step(states, digit), length + 1)
            if kinds is None or (below is not None and kinds != below):
                return None
            below = kinds
        return here | (below or {})

    def _in_use(self, states: frozenset[int], length: int) -> Kinds | None:
        """The kinds by length, where what is not ordinary from here on is unassigned: then all count as ordinary."""
        found: Kinds = {}
        for n, kinds in self._all(states, length).items():
            ordinary = {kind for kind in kinds if kind[1] == "o"}
            if len(ordinary) > 1 or (kinds - ordinary - {(None, UNKNOWN)} and len(kinds) > 1):
                return None
            found[n] = next(iter(ordinary or kinds))
        return found if len(_regions(found)) < 2 else None

    def _all(self, states: frozenset[int], length: int) -> dict[int, set[Kind]]:
        """All kinds of what begins here, by length."""
        key = (states, length)
        if key not in self._all_at:
            found = {n: {kind} for n, kind in self._here(states, length).items()}
            uniform = self._uniform(states, length)
            if uniform is not None:
                found = {n: {kind} for n, kind in uniform.items()}
            else:
                for digit in "0123456789":
                    for n, kinds in self._all(self._automaton.step(states, digit), length + 1).items():
                        found[n] = found.get(n, set()) | kinds
            self._all_at[key] = found
        return self._all_at[key]

    def _here(self, states: frozenset[int], length: int) -> Kinds:
        if not LENGTH_MIN <= length <= LENGTH_MAX:
            return {}
        return {length: self._kind(self._automaton.labels(states), length)}

    def _kind(self, labels: frozenset[tuple[str, str]], length: int) -> Kind:
        whole = WHOLE_CODES.get(self._code)
        if whole:
            return None, whole
        for special in ("p", "t"):
            if ("", special) in labels:
                return "US", special
        national = length - len(self._code)
        region = self._region(labels, national)
        letter = self._letter(region, labels, national) if region else None
        if letter:
            return (None if region == "001" else region), letter
        is_short = national < min(self._shortest, SHORT_MAX + 1)
        return None, NEVER if is_short or ("", "lookalike") in labels else UNKNOWN

    def _region(self, labels: frozenset[tuple[str, str]], national: int) -> str | None:
        """Whose number it is, as phonenumbers.region_code_for_number says."""
        if len(self._regions) == 1:
            return str(self._regions[0])
        for region in self._regions:
            if self._metadata[region].leading_digits:
                if (region, "leading") in labels:
                    return str(region)
            elif self._letter(region, labels, national):
                return str(region)
        return None

    def _letter(self, region: str, labels: frozenset[tuple[str, str]], national: int) -> str | None:
        """Its kind, as phonenumbers.number_type says."""
        if not self._matches(region, "general_desc", labels, national):
            return None
        return next((letter for kind, letter in KINDS.items() if self._matches(region, kind, labels, national)), None)

    def _matches(self, region: str, kind: str, labels: frozenset[tuple[str, str]], national: int) -> bool:
        return (region, kind) in labels and national in self._lengths[region, kind]


def _lookalikes(region: str, metadata: PhoneMetadata) -> Iterator[str]:
    """
    What no number of a country begins with, though people dial it there: the prefix of calls abroad, emergency numbers.

    Both also behind the prefix of calls inside the country.
    """
    short = PhoneMetadata.short_metadata_for_region(region)
    emergency = short and short.emergency and short.emergency.national_number_pattern
    inside = f"(?:{metadata.national_prefix})?" if (metadata.national_prefix or "").isdecimal() else ""
    abroad = metadata.international_prefix or ""
    if r"\d" in abroad:  # some digits of it choose a carrier
        abroad = ""
    for pattern in (abroad, metadata.preferred_international_prefix, emergency):
        if pattern and pattern != "NA" and "~" not in pattern:
            yield f"{inside}(?:{pattern})"


# Patterns as automata.

_TOKEN = re.compile(r"\\d|\[[^]]+\]|\(\?:|[()|?0-9]|\{\d+(?:,\d+)?\}")  # all that these patterns are made of


class _Automaton:
    """Which of several patterns match, digit by digit."""

    def __init__(self) -> None:
        self._free: list[set[int]] = [set()]  # edges without a digit
        self._digits: list[dict[str, set[int]]] = [{}]
        self._labels: dict[int, tuple[str, str]] = {}
        self.begin = frozenset({0})
        self._steps: dict[tuple[frozenset[int], str], frozenset[int]] = {}

    def add(self, pattern: str, label: tuple[str, str], *, rest: bool = False) -> None:
        """One more pattern; with *rest*, anything may follow."""
        tokens = _TOKEN.findall(pattern)
        assert "".join(tokens) == pattern, f"a pattern of libphonenumber's with something new in it: {pattern}"
        end = self._sequence(0, _parsed(tuple(tokens)))
        if rest:
            for digit in "0123456789":
                self._digits[end].setdefault(digit, set()).add(end)
        self._labels[end] = label
        self.begin = self._closure({0})

    def step(self, states: frozenset[int], digit: str) -> frozenset[int]:
        key = (states, digit)
        if key not in self._steps:
            self._steps[key] = self._closure({to for at in states for to in self._digits[at].get(digit, ())})
        return self._steps[key]

    def labels(self, states: frozenset[int]) -> frozenset[tuple[str, str]]:
        return frozenset(self._labels[at] for at in states if at in self._labels)

    def _closure(self, states: set[int]) -> frozenset[int]:
        found, waiting = set(states), list(states)
        while waiting:
            more = self._free[waiting.pop()] - found
            found |= more
            waiting += more
        return frozenset(at for at in found if self._digits[at] or at in self._labels)

    def _node(self) -> int:
        self._free.append(set())
        self._digits.append({})
        return len(self._free) - 1

    def _sequence(self, begin: int, alternatives: _Alternatives) -> int:
        end = self._node()
        for sequence in alternatives:
            at = self._node()
            self._free[begin].add(at)
            for atom, low, high in sequence:
                for _ in range(low):
                    at = self._atom(at, atom)
                enough = self._node()
                self._free[at].add(enough)
                for _ in range(high - low):
                    at = self._atom(at, atom)
                    self._free[at].add(enough)
                at = enough
            self._free[at].add(end)
        return end

    def _atom(self, begin: int, atom: str | _Alternatives) -> int:
        if not isinstance(atom, str):
            return self._sequence(begin, atom)
        end = self._node()
        for digit in "0123456789":
            if re.fullmatch(atom, digit):
                self._digits[begin].setdefault(digit, set()).add(end)
        return end


_Sequence = tuple[tuple["str | _Alternatives", int, int], ...]  # what, and how often: at least, at most
_Alternatives = tuple[_Sequence, ...]


@cache
def _parsed(tokens: tuple[str, ...]) -> _Alternatives:
    rest = list(reversed((*tokens, ")")))
    found = _alternatives(rest)
    assert not rest
    return found


def _alternatives(rest: list[str]) -> _Alternatives:
    alternatives: list[_Sequence] = []
    sequence: list[tuple[str | _Alternatives, int, int]] = []
    while True:
        token = rest.pop()
        if token in ("|", ")"):
            alternatives.append(tuple(sequence))
            sequence = []
            if token == ")":
                return tuple(alternatives)
        elif token == "?" or token[0] == "{":
            low, _, high = "0,1".partition(",") if token == "?" else token.strip("{}").partition(",")
            sequence[-1] = (sequence[-1][0], int(low), int(high or low))
        else:
            sequence.append((_alternatives(rest) if token[0] == "(" else token, 1, 1))


def as_sql() -> str:
    """The values of the migration's insert: firsts, country and kinds."""
    alike: dict[tuple[str | None, str], list[str]] = defaultdict(list)
    for one in ranges():
        alike[one.region, one.kinds].append(one.first)
    return ",\n".join(_lines(region, kinds, firsts) for (region, kinds), firsts in alike.items())


def _lines(region: str | None, kinds: str, firsts: list[str]) -> str:
    lines = textwrap.wrap(" ".join(firsts), 100)
    quoted = "\n            ".join(f"'{line} '" for line in lines[:-1])
    last = f"'{lines[-1]}'"
    text = f"{quoted}\n            {last}" if quoted else last
    country = f"'{region}'" if region else "null"
    return f"           ({text}, {country}, '{kinds}')"


if __name__ == "__main__":
    print(as_sql())  # noqa: T201
