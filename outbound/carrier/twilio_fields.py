"""
Read what Twilio writes, in callbacks and in REST answers.

Each field by itself: what is missing, empty, or cannot be read is None, so that an odd field costs only itself.
"""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

NUMBER_MAX = 999_999_999  # whole numbers in PostgreSQL's integer columns, and more than any duration in seconds
WORD_CHARS_MAX = 32  # of a status or of AnsweredBy
TEXT_CHARS_MAX = 400  # of a number, a SIP address or an id

_MOMENT_CHARS_MAX = 64
_OFFSET_MAX = timedelta(hours=15, minutes=59)  # PostgreSQL's bound; no zone on Earth is further from UTC than 14 h
_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_EPOCH = re.compile(r"[0-9]{9,17}(\.[0-9]{1,9})?")
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:.*")
_WHOLE = re.compile(r"[0-9]{1,9}(\.0+)?")
_SIP_CODE = re.compile(r"(?:SIP/2\.0\s+)?([1-6][0-9]{2})(?:\.0+)?(?:\s.*)?", re.ASCII | re.DOTALL)


def text(value: object, chars_max: int = TEXT_CHARS_MAX) -> str | None:
    """Text that PostgreSQL can hold, at most *chars_max* characters of it."""
    if not isinstance(value, str) or not value or "\0" in value:
        return None
    try:
        value.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can hold
        return None
    return value[:chars_max]


def whole(value: object) -> int | None:
    """A whole number from 0 to NUMBER_MAX, written as a number or as text: 12, 12.0, "12" and "12.0" are all 12."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    digits = str(value).strip()[:20]
    return int(digits.partition(".")[0]) if _WHOLE.fullmatch(digits) else None


def sip_code(value: object) -> int | None:
    """The code of a SIP answer, 100 to 699: 486, "486" and "486 Busy Here" are all 486."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    found = _SIP_CODE.fullmatch(str(value).strip())
    return int(found[1]) if found else None


def moment(value: object, *, is_utc: bool = False) -> datetime | None:
    """
    A moment from 2000 to 2099, in UTC: RFC 2822, ISO 8601, or seconds, milliseconds or microseconds since 1970.

    Args:
        is_utc: a date without a zone is UTC, as the REST API documents its dates; otherwise such a date is no moment.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    written = str(value).strip()
    if len(written) > _MOMENT_CHARS_MAX:
        return None
    try:
        return _within_reach(_parsed(written), is_utc=is_utc)
    except (ValueError, TypeError, OverflowError, IndexError):  # what the parsers of the standard library raise
        return None


def _parsed(written: str) -> datetime:
    if _EPOCH.fullmatch(written):
        seconds = float(written)
        while seconds >= _LATEST.timestamp():
            seconds /= 1000
        return datetime.fromtimestamp(seconds, UTC)
    return datetime.fromisoformat(written) if _ISO.fullmatch(written) else parsedate_to_datetime(written)


def _within_reach(at: datetime, *, is_utc: bool) -> datetime | None:
    if at.tzinfo is None and is_utc:
        at = at.replace(tzinfo=UTC)
    offset = at.utcoffset()
    if offset is None or abs(offset) > _OFFSET_MAX or not _EARLIEST <= at < _LATEST:
        return None
    return at.astimezone(UTC)
