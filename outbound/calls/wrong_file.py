"""
A file that is wrong as a whole: nearly every line of its beginning is refused, as where the region is another; or it
says in a column that is not read when the calls are due.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import islice

from outbound.calls.call_request import NewCall
from outbound.db import Row
from outbound.formats import columns, moments
from outbound.formats.file_text import BadFile

LINES_MIN = 5  # fewer are read one by one
SHARE_MIN = 0.8  # of the lines at the beginning, refused

_EMPTY = "`to` is empty"  # in an address book many have no number
_OF_ANOTHER_COUNTRY = re.compile(r"`to` (?:is not a phone number|has one digit|may be )")
_FORBIDDEN = re.compile(r"`to` may not be called")
_LINES_ASKED = 100  # for moments that would not be waited for
_ANYWAY = "Nothing was queued.  With --anyway the lines that are good are taken."


class WrongFile(BadFile):
    """The file is probably not what is meant; the message says why, and nothing was changed."""


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
        raise WrongFile(f"{counted} {_region(caller)}  {_ANYWAY}  Most: {common}")
    what = "numbers may not be called" if _FORBIDDEN.match(common) else "lines are refused"
    raise WrongFile(f"{counted} {what}.  {_ANYWAY}  Most: {common}")


def refuse_unread_moments(fields: Iterable[str], lines: Iterable[tuple[int, NewCall]]) -> None:
    """
    Raise WrongFile where a column that is not read holds moments to come, and no other says when calls are due: they
    would be made at once.

    Args:
        fields: the columns that are kept as fields of the contact.
        lines: the first lines of the file with the calls that they mean.
    """
    names = [name for name in fields if columns.key(name) in columns.OF_SOME_MOMENT]
    for line, call in islice(lines, _LINES_ASKED) if names else ():
        contact = json.loads(call.contact or "{}")
        for name in names:
            if _is_to_come(contact.get(name, "")):
                raise WrongFile(
                    f"`{name}` holds moments to come, like {contact[name]} in line {line}, and calls would not wait for"
                    f" them: name that column `at`, or by what it is the time of.  {_ANYWAY}"
                )


def _is_to_come(text: str) -> bool:
    try:
        return moments.read(text, "UTC", day_alone=True, order="day").at > datetime.now(UTC)
    except moments.BadMoment:
        return False


def _region(caller: Row | None) -> str:
    if caller and caller.default_region:
        return (
            f"numbers are not valid in {caller.default_region}: is the region right?"
            f"  `outbound business set {caller.id} --region …` changes it."
        )
    whose = f"business {caller.id}" if caller else "the business"
    mend = f"`outbound business set {caller.id if caller else 'ID'} --region …`"
    return f"numbers are not valid without a country code, and {whose} has no region: {mend}."
