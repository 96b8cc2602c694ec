"""A file that is wrong as a whole: nearly every line of its beginning is refused, as where the region is another."""

import re
from collections import Counter
from collections.abc import Sequence

from outbound.db import Row
from outbound.formats.file_text import BadFile

LINES_MIN = 5  # fewer are read one by one
SHARE_MIN = 0.8  # of the lines at the beginning, refused

_EMPTY = "`to` is empty"  # in an address book many have no number
_OF_ANOTHER_COUNTRY = re.compile(r"`to` (?:is not a phone number|has one digit|may be )")
_FORBIDDEN = re.compile(r"`to` may not be called")
_ANYWAY = "Nothing was queued.  With --anyway the lines that are good are taken."


class WrongFile(BadFile):
    """Nearly every line is refused, probably for one reason; the message says which, and nothing was changed."""


def refuse(refused: Sequence[str], lines: int, *, is_all: bool, caller: Row | None) -> None:
    """
    Raise WrongFile where nearly all lines are refused.

    Args:
        refused: the reasons, one for each line that is.
        lines: how many lines were looked at.
        is_all: whether the file has no more.
        caller: the business of the first of them, as find_callers says.
    """
    reasons = [reason for reason in refused if not reason.startswith(_EMPTY)]
    lines -= len(refused) - len(reasons)
    if lines < LINES_MIN or len(reasons) < lines * SHARE_MIN:
        return
    counted = f"{len(reasons)} of {'' if is_all else 'the first '}{lines}"
    common = Counter(reasons).most_common(1)[0][0]
    foreign = sum(bool(_OF_ANOTHER_COUNTRY.match(reason)) for reason in reasons)
    if foreign * 2 > len(reasons):
        raise WrongFile(f"{counted} {_region(caller)}  {_ANYWAY}  Most: {common}.")
    what = "numbers may not be called" if _FORBIDDEN.match(common) else "lines are refused"
    raise WrongFile(f"{counted} {what}, most because {common}.  {_ANYWAY}")


def _region(caller: Row | None) -> str:
    if caller and caller.default_region:
        return (
            f"numbers are not valid in {caller.default_region}: is the region right?"
            f"  `outbound business set {caller.id} --region …` changes it."
        )
    whose = f"business {caller.id}" if caller else "the business"
    mend = f"`outbound business set {caller.id if caller else 'ID'} --region …`"
    return f"numbers are not valid without a country code, and {whose} has no region: {mend}."
