"""In which time zone a callee is, as far as the number tells."""

from outbound import db

sql = db.statements("callee_zone")

DIGITS_MAX = 9  # of a prefix (callee_zones in SQL)


class CalleeZones:
    """The one zone of each number: read once, then asked as often as a file has rows."""

    def __init__(self) -> None:
        self._zones: dict[str, list[str]] | None = None

    def of(self, number: str, own: db.Connection | None = None) -> str | None:
        """
        The zone of a number in E.164; None where it may be in several, or nobody knows.

        *own* is the connection to read with; without one, the pool lends one.
        """
        if self._zones is None:
            rows = db.transact(sql.every_prefix, own)
            self._zones = {row.prefix: row.zones for row in rows}
        for digits in range(DIGITS_MAX, 0, -1):
            zones = self._zones.get(number[1 : 1 + digits])
            if zones is not None:
                return zones[0] if len(zones) == 1 else None
        return None
