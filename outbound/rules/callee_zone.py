"""In which time zone a callee is, as far as the number tells."""

from collections.abc import Sequence

from outbound import db

sql = db.statements("rules/callee_zone")

DIGITS_MAX = 9  # of a prefix (callee_zones in SQL)


def zone_of(number: str, own: db.Connection | None = None) -> str | None:
    """
    The zone of one number in E.164; None where it may be in several, or nobody knows.

    *own* is the connection to read with; without one, the pool lends one.
    """
    return _only(sql.zones_of(own, number=number) if own else db.run(sql.zones_of, number=number))


class CalleeZones:
    """Time zones of many numbers, such as a file's: the prefixes are read once."""

    def __init__(self) -> None:
        self._zones: dict[str, list[str]] | None = None

    def of(self, number: str) -> str | None:
        """The zone of a number in E.164, as `zone_of` tells it."""
        if self._zones is None:
            self._zones = {row.prefix: row.zones for row in db.run(sql.every_prefix)}
        for digits in range(DIGITS_MAX, 0, -1):
            zones = self._zones.get(number[1 : 1 + digits])
            if zones is not None:
                return _only(zones)
        return None


def _only(zones: Sequence[str]) -> str | None:
    return zones[0] if len(zones) == 1 else None
