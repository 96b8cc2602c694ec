"""
Decides which of day and month comes first in a file's dates: as in the business's country, if the file has no other.
"""

from collections.abc import Callable, Iterable

from outbound.calls.call_request import BadCall, NewCall
from outbound.db import Row
from outbound.formats import moments
from outbound.formats.moments import Order

_DOUBT = "`at` may be day and month or month and day"
_MEND = f"write it like {moments.TIME_FORM}"


class FileDates:
    """
    The order of day and month in one file.

    A date like 11/12/2026 is read in the order of the business's region.  Where another line of the file can only be in
    the other order, it is refused: no guess decides when somebody is called.

    Args:
        texts: reads the moments of the whole file again, each with its line; asked once, and only where it matters.
    """

    def __init__(self, texts: Callable[[], Iterable[tuple[int, str]]]) -> None:
        self._texts = texts
        self._shown: dict[Order, int] | None = None  # the first line that can only be in this order
        self._readings: dict[str, str] = {}
        self.clocks: str | None = None  # by whose clocks moments were read, with the file's first as an example
        self.orders: dict[str | None, Order] = {}  # by region, once it is decided

    @property
    def readings(self) -> list[str]:
        """Return how dates were read that could mean two days, each with an example: sentences for people."""
        return list(self._readings.values())

    def decide(self, region: str | None) -> Order:
        """The order of dates that could mean two days; or raise BadCall."""
        order = moments.order_of(region)
        if order is None:
            why = f"in {region} both are met" if region else "the business has no region, which would say it"
            raise BadCall(f"{_DOUBT}: {why}; {_MEND}")
        other: Order = "month" if order == "day" else "day"
        line = self._lines_by_order().get(other)
        if line is not None:
            raise BadCall(f"{_DOUBT}: {region} has the {order} first, and line {line} the {other}; {_MEND}")
        self.orders[region] = order
        return order

    def say(self, caller: Row, text: str, call: NewCall) -> None:
        """Note an example for the report, one for each region."""
        region = caller.default_region
        if region not in self._readings:
            shown = call.due_at and moments.shown(call.due_at, call.zone)
            self._readings[region] = f"dates are read {self.orders[region]} first, as in {region}: {text} is {shown}"

    def show(self, line: int, text: str, call: NewCall) -> None:
        """Note the first moment of the file for the report, as it was understood."""
        if self.clocks is None and call.due_at is not None:
            shown = moments.shown(call.due_at, call.zone)
            self.clocks = (
                f"moments without an offset are by the callee's clocks where those are known, else by the business's:"
                f" `at` in line {line}, {text}, is {shown}"
            )

    def _lines_by_order(self) -> dict[Order, int]:
        if self._shown is None:
            self._shown = {}
            for line, text in self._texts():
                order = moments.order_shown(text)
                if order:
                    self._shown.setdefault(order, line)
        return self._shown
