"""The names of time zones as people write them, and the IANA name of today that each means; or why it means none."""

import difflib
import re
import unicodedata
import zoneinfo
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from functools import cache, lru_cache
from importlib import resources

from tzlocal.windows_tz import win_tz  # Windows' names, from the Unicode consortium's windowsZones.xml

LIKELY_MAX = 3  # zones that a refusal names
SAMPLE = "Asia/Jerusalem"
UNIVERSAL = "UTC"  # by whose clocks nobody lives

# Of tzdata's names these are no places.  Most have one offset all year, so that a call would be an hour off in summer.
_NO_PLACES = {
    *("EST", "MST", "HST", "EST5EDT", "CST6CDT", "MST7MDT", "PST8PDT", "WET", "CET", "MET", "EET"),
    *("GMT", "GMT0", "GMT+0", "GMT-0", "Greenwich", "Etc/GMT", "Etc/GMT0", "Etc/Greenwich"),
    *("Factory", "localtime", "posixrules"),
}
_UTC = {"UTC", "UCT", "Zulu", "Universal", "Etc/UTC", "Etc/UCT", "Etc/Zulu", "Etc/Universal"}
# Windows offers each country's largest zones; of these it offers a smaller one with the same clocks, too.
_LARGEST = {"Australia/Sydney", "America/Sao_Paulo"}
_OFFSET = re.compile(r"(?:etc/)?(utc|gmt|)([+-])(\d{1,2})(?::?([0-5]\d))?", re.IGNORECASE)
_LETTERS = re.compile(r"[A-Za-z]{2,5}(?:\d[A-Za-z]{3})?")
_UNITED_STATES = {"ET": "EST", "CT": "CST", "MT": "MST", "PT": "PST"}


class BadTimeZone(ValueError):
    """The name is no time zone's; the message, which goes after what was named, says which zones may be meant."""


def present(name: str, known: Collection[str] = ()) -> str:
    """
    The IANA name of today: US/Eastern is America/New_York, and asia/calcutta is Asia/Kolkata.

    Args:
        known: further names that count, of a newer time zone data than ours.

    Raises:
        BadTimeZone: an abbreviation (EST), an offset (Etc/GMT+5, UTC+3), Windows' name, or nobody's.
    """
    zone, fault, is_unknown = _verdict(name)
    if zone is not None:
        return zone
    if is_unknown and name in known and "/" in name:
        return name
    raise BadTimeZone(fault)


@cache
def country(zone: str) -> str | None:
    """The two letters of the country in which the clocks are a zone's, by its name of today; None of UTC."""
    for line in _table("zone.tab"):
        if line[:1] not in ("", "#") and line.split("\t")[2] == zone:
            return line[:2]
    return None


@cache
def choices(region: str) -> tuple[str, ...]:
    """
    The zones among which a country's people must choose, by their names of today; none of a region that is no country.

    Zones whose clocks agree, this winter and this summer, are one, by the name of the largest.
    """
    offered = {zone for zones in _windows().values() for zone in zones}
    alike: dict[object, list[str]] = {}
    for line in _table("zone.tab"):
        letters, _, zone = [*line.split("\t"), "", ""][:3]
        if letters == region:
            alike.setdefault(tuple(clock.utcoffset() for clock in _clocks(zone)) or zone, []).append(zone)
    best = [min(zones, key=lambda zone: (zone not in _LARGEST, zone not in offered)) for zones in alike.values()]
    return tuple(sorted(best, key=lambda zone: zone not in offered))


@lru_cache(1000)  # a file repeats few names
def _verdict(name: str) -> tuple[str | None, str, bool]:
    """The zone, or else the fault, and whether it is that nobody knows the name."""
    text = _clean(name)
    zone = _names().get(_key(text))
    if zone is not None:
        return zone, "", False
    if _key(text) in map(_key, _NO_PLACES):
        return None, _no_place(text), False
    offset = _OFFSET.fullmatch(text.replace(" ", ""))
    if offset:
        return None, _fixed(offset), False
    likely = _of_windows(text) or _of_abbreviation(text)
    if likely:
        return None, f"is not an IANA time zone, like {_either(likely)}", False
    return None, f"is not an IANA time zone, like {_either(_alike(text) or [SAMPLE])}", True


def _no_place(text: str) -> str:
    if text.casefold() in ("factory", "localtime", "posixrules"):
        return f"is not an IANA time zone, like {SAMPLE}"
    is_greenwich = text.casefold().removeprefix("etc/").startswith("g")
    likely = _of_abbreviation("GMT" if is_greenwich else text) or [SAMPLE]
    return f"is an abbreviation, without a place and its summer time: write {_either(likely)}"


def _fixed(offset: re.Match[str]) -> str:
    """The message about an offset; in the names of Etc its sign is the opposite of everybody's."""
    _, sign, hours, minutes = offset.groups()
    ahead = (int(hours) * 60 + int(minutes or 0)) * (1 if sign == "+" else -1)
    if offset[0].lower().startswith("etc/"):
        ahead = -ahead
    where = [zone for zone in _principal() if ahead in _offsets(zone)]
    where.sort(key=lambda zone: min(_offsets(zone)) != ahead)  # first those whose winter it is
    return f"is an offset, without a place and its summer time: write a place, like {_either(where or [SAMPLE])}"


def _of_abbreviation(text: str) -> list[str]:
    """
    The zones whose clocks are called so at some time of this year, those first whose name in Windows it abbreviates.

    EST is New York's and not only New York's; IST is Jerusalem's, Kolkata's and Dublin's.
    """
    letters = text.upper()
    if not _LETTERS.fullmatch(letters):
        return []
    letters = _UNITED_STATES.get(letters, letters[:3] if letters[3:4].isdigit() else letters)
    found = [zone for zone in _principal() if letters in _abbreviations(zone)]
    spelled = {
        zone for name, zones in _windows().items() if _initials(name) == letters.replace("DT", "ST") for zone in zones
    }
    return sorted(found, key=lambda zone: zone not in spelled)


def _initials(name: str) -> str:
    return "".join(word[0] for word in name.split("_")).upper()


def _of_windows(text: str) -> list[str]:
    """The zone of a name of Windows, also in the way of its menus: `Eastern Time (US & Canada)`."""
    name = re.sub(r"\([^)]*\)", "", text).strip()
    name = re.sub(r"( daylight| summer| standard)? time$", " Standard Time", name, flags=re.IGNORECASE)
    return _windows().get(_key(name), [])


def _alike(text: str) -> list[str]:
    """Zones whose names, or the names of whose cities, look like this one."""
    key = _key(text)
    cities = {_key(zone.rpartition("/")[2]): zone for zone in reversed(_principal())}
    if key in cities:
        return [cities[key]]
    names = {name: zone for name, zone in (_names() | cities).items() if zone != UNIVERSAL}
    found = difflib.get_close_matches(key, names, n=LIKELY_MAX, cutoff=0.75)
    return list(dict.fromkeys(names[name] for name in found))


def _either(zones: Iterable[str]) -> str:
    *others, last = list(zones)[:LIKELY_MAX]
    return f"{', '.join(others)} or {last}" if others else last


def _clean(name: str) -> str:
    """The name without what nobody sees: spaces at its ends, marks of the direction of writing."""
    return "".join(c for c in name if unicodedata.category(c) != "Cf").strip()


def _key(name: str) -> str:
    """Return what two writings of one name share: case, spaces, hyphens and underscores do not count."""
    return re.sub(r"[\s_-]+", "_", re.sub(r"\s*/\s*", "/", name)).casefold()


@cache
def _names() -> dict[str, str]:
    """The zone's name of today by the key of each name that means a place, or UTC."""
    links = {link: target for _, target, link in _links()}
    places = _places()
    meant = {}
    for name in {*places, *links, *_UTC}:
        zone = name
        while zone not in places and zone in links:
            zone = links[zone]
        if zone in _UTC:
            zone = UNIVERSAL
        if name not in _NO_PLACES and (zone in places or zone == UNIVERSAL):
            meant[_key(name)] = zone
    return meant


def _table(name: str) -> list[str]:
    return (resources.files("tzdata") / "zoneinfo" / name).read_text("utf-8").splitlines()


def _links() -> list[list[str]]:
    """`L target link`: a name that tzdata keeps for those who knew it before."""
    return [line.split() for line in _table("tzdata.zi") if line.startswith("L ")]


@cache
def _places() -> frozenset[str]:
    """The zones of today: those that tzdata would show to somebody who chooses one by country."""
    return frozenset(line.split("\t")[2] for line in _table("zone.tab") if line[:1] not in ("", "#"))


@cache
def _windows() -> dict[str, list[str]]:
    return {_key(name): [_names()[_key(zone)]] for name, zone in win_tz.items() if _key(zone) in _names()}


@cache
def _principal() -> list[str]:
    """The zones of today, those first that Windows offers: they have the most people; and of them those with summer."""
    offered = dict.fromkeys(zone for zones in _windows().values() for zone in zones if zone != UNIVERSAL)
    rest = sorted(_places() - offered.keys())
    return [*sorted(offered, key=lambda zone: len(_offsets(zone)) == 1), *rest]


@cache
def _clocks(zone: str) -> list[datetime]:
    """A moment of this winter and one of this summer there."""
    year = datetime.now(UTC).year
    try:
        there = zoneinfo.ZoneInfo(zone)
    except zoneinfo.ZoneInfoNotFoundError:  # the system's time zone data is older than ours
        return []
    return [datetime(year, month, 1, 12, tzinfo=UTC).astimezone(there) for month in (1, 7)]


def _abbreviations(zone: str) -> set[str | None]:
    return {clock.tzname() for clock in _clocks(zone)}


def _offsets(zone: str) -> set[float]:
    return {offset.total_seconds() / 60 for clock in _clocks(zone) if (offset := clock.utcoffset()) is not None}
