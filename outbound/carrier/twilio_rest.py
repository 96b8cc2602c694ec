"""Twilio's REST API for calls: requests, their errors, call resources and pages of them, each field read by itself."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from json import loads
from typing import NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from twilio.rest import Client

from outbound.carrier import CarrierCall, OddAnswer, twilio_fields

PAGE_SIZE = 1000  # the most that Twilio gives


class RestError(Exception):
    """
    An answer that is an error.

    Attributes:
        status: of HTTP, whatever the body says.
        code: Twilio's; None where the body is none of Twilio's, or has no code.
        has_body: whether the body is one of Twilio's, old form or new (RFC 9457); else somebody in between answered.
    """

    def __init__(self, status: int, body: object) -> None:
        error = body if isinstance(body, Mapping) else {}
        texts = (twilio_fields.text(error.get(name)) for name in ("detail", "message", "title"))
        super().__init__(next(filter(None, texts), "Unable to create record"))
        self.status = status
        self.code = twilio_fields.whole(error.get("code")) or None
        self.code_text = twilio_fields.text(str(error.get("code") or status)) or str(status)
        self.has_body = bool(error)


async def request(
    client: Client, method: str, path: str, query: str = "", form: Mapping[str, object] | None = None
) -> object:
    """
    Make one request below the account's address, and return what the answer's JSON holds.

    Raises:
        RestError: any status but 2xx.
        ValueError: a body that is not JSON.
        aiohttp.ClientError, TimeoutError: see `twilio_http.sending`.
    """
    address = f"/Accounts/{client.account_sid}{path}"
    response = await client.api.v2010.request_async(method, f"{address}?{query}" if query else address, data=form)
    if 200 <= response.status_code < 300:
        return loads(response.text)
    try:
        body = loads(response.text)
    except (ValueError, RecursionError):
        body = None
    raise RestError(response.status_code, body)


def path_of(call_sid: str) -> str:
    """Return where a call is."""
    return f"/Calls/{quote(call_sid, safe='')}.json"


def our_status(word: str) -> str:
    """Twilio's word for a status, in ours: its `queued` means that it has taken the call."""
    return "initiated" if word == "queued" else word[: twilio_fields.WORD_CHARS_MAX]


def read_call(resource: object) -> CarrierCall | None:
    """A call resource, in our words; None for what is no call: it has no sid, or no status."""
    if not isinstance(resource, Mapping):
        return None
    call_sid, status = twilio_fields.text(resource.get("sid")), twilio_fields.text(resource.get("status"))
    if call_sid is None or status is None or not call_sid.startswith("CA"):
        return None
    return CarrierCall(
        call_sid=call_sid,
        status=our_status(status),
        carrier_status=status,
        to_number=twilio_fields.text(resource.get("to")),
        from_number=twilio_fields.text(resource.get("from")),
        direction=twilio_fields.text(resource.get("direction")),
        account_sid=twilio_fields.text(resource.get("account_sid")),
        parent_call_sid=twilio_fields.text(resource.get("parent_call_sid")),
        created_at=twilio_fields.moment(resource.get("date_created"), is_utc=True),
        started_at=twilio_fields.moment(resource.get("start_time"), is_utc=True),
        ended_at=twilio_fields.moment(resource.get("end_time"), is_utc=True),
        duration_s=twilio_fields.whole(resource.get("duration")),
        answered_by=twilio_fields.text(resource.get("answered_by"), twilio_fields.WORD_CHARS_MAX),
    )


class Page(NamedTuple):
    """Calls of this account, and the query of the next page; None on the last one."""

    calls: list[CarrierCall]
    following: str | None


def first_page(filters: Mapping[str, str]) -> str:
    """The query of a list's first page; *filters* are Twilio's parameters."""
    return urlencode({**filters, "PageSize": PAGE_SIZE})


async def read_page(client: Client, query: str) -> Page:
    """
    One request for one page.  What is no call, or another account's, is left out.

    Raises:
        OddAnswer: an answer that is no page; and see `request`.
    """
    page = await request(client, "GET", "/Calls.json", query)
    if not isinstance(page, Mapping) or not isinstance(page.get("calls"), list):
        raise OddAnswer("an answer that is no list of calls")
    calls = [call for call in map(read_call, page["calls"]) if call is not None]
    return Page(
        [call for call in calls if call.account_sid in (None, client.account_sid)],
        _query_of(page.get("next_page_uri")),
    )


def _query_of(following: object) -> str | None:
    """Of the next page's address only the query is used: our token goes to no other host, whatever the answer says."""
    return urlsplit(following).query or None if isinstance(following, str) else None


def is_older(calls: Sequence[CarrierCall], moment: datetime) -> bool:
    """
    Return whether this page, and so every later one, holds only calls that were created before *moment*.

    Pages are newest first, but Twilio does not say by which of a call's times.  Each of them is at or after the call's
    creation: where the latest one is before *moment* for a whole page, it does not matter by which.
    """
    return bool(calls) and all(call.is_final and _latest(call) < moment for call in calls)


def _latest(call: CarrierCall) -> datetime:
    known = [at for at in (call.created_at, call.started_at, call.ended_at) if at is not None]
    return max(known, default=datetime.max.replace(tzinfo=UTC))


def day_of(moment: datetime) -> str:
    """A filter by time, as Twilio's own client writes it; only the day is documented to count, UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT00:00:00Z")
