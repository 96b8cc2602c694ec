"""What a client would rather have, by its Accept or Accept-Language header (RFC 9110, section 12.5)."""

import re
from collections.abc import Mapping, Sequence

from starlette.requests import Request

_VALUES_MAX = 20  # of a header; what stands behind them is not read
_QUALITY = re.compile(r"q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)


def sent(request: Request, name: str) -> str:
    """A header whose values are a list, however often it was sent."""
    return ",".join(request.headers.getlist(name))


def best(header: str, offers: Mapping[str, Sequence[str]]) -> str:
    """
    The offer that the header asks for most; of two that it likes alike, the one that it names first.

    Args:
        offers: what there is, and the values of the header that mean it, the narrowest first.  The first of them is
            taken where the header asks for none.
    """
    qualities = _qualities(header)
    wanted: list[tuple[float, int, str]] = []
    for offer, values in offers.items():
        quality, place = next((qualities[value] for value in values if value in qualities), (0.0, 0))
        if quality > 0:
            wanted.append((-quality, place, offer))
    return min(wanted, key=lambda one: one[:2])[2] if wanted else next(iter(offers))


def _qualities(header: str) -> dict[str, tuple[float, int]]:
    """How much each value is wanted, 0 to 1, and its place; of one that is there twice, the larger."""
    found: dict[str, tuple[float, int]] = {}
    for place, part in enumerate(header.split(",")[:_VALUES_MAX]):
        value, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = next((float(read[1]) for one in parameters if (read := _QUALITY.fullmatch(one))), 1.0)
        if value not in found or found[value][0] < quality:
            found[value] = quality, place
    return found
