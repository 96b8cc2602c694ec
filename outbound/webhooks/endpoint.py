"""Adds, changes and tests the endpoints that receive events, and replays what they received."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from outbound import db
from outbound.config import settings
from outbound.errors import UserError
from outbound.formats import network_addresses, plain_text, row_id
from outbound.webhooks import address, signature
from outbound.webhooks.event import TYPES

sql = db.statements("webhooks/endpoint")

PAGE_MAX = 1000
_REMOVED_AT_ONCE = 5000  # deliveries
REPLAY_BATCH = 10_000  # deliveries of one statement, which takes some 0.3 s
STATES = ("due", "claimed", "sending", "done", "given_up")


class BadEndpoint(UserError):
    """The endpoint is not as it must be, or is not there; the message says what to do, and nothing was changed."""


class NoSuchEndpoint(BadEndpoint):
    """There is no endpoint of this id, or it is another business's."""


@dataclass(frozen=True)
class SignedEndpoint:
    """An endpoint's id and the secret with which its receiver verifies, which can be shown again at any time."""

    id: int
    secret: str


def add(
    url: str,
    *,
    business_id: int | None = None,
    event_types: Iterable[str] = (),
    payload: str = "full",
    is_operators: bool = True,
    actor: str,
) -> SignedEndpoint:
    """
    Post events to an address from now on.

    Args:
        url: https://, on port 443; in a network that OUTBOUND_WEBHOOK_ALLOW names also http:// and any port.
        business_id: the one business whose events it receives; None for all.
        event_types: some of TYPES; none for all but call.answered.
        payload: full, or thin: ids alone.
        is_operators: whether an operator gave the address; a tenant's leads to no network of OUTBOUND_WEBHOOK_ALLOW.

    Raises:
        BadEndpoint: says what is wrong.
        SettingsError: OUTBOUND_WEBHOOK_KEY is not set.
    """
    _check_url(url, is_operators=is_operators)
    types = _types(event_types)
    _check_payload(payload)
    signature.secret(1, 1)  # without the key nothing could be signed
    row = db.run(
        sql.add_endpoint,
        business_id=business_id,
        url=url,
        event_types=types,
        payload=payload,
        own_networks=is_operators,
        who=actor,
    )
    if row is None:
        raise BadEndpoint(f"there is no business {business_id}: see `outbound business list`")
    return SignedEndpoint(row.id, signature.secret(row.id, row.secret_generation))


def every(business_id: int | None = None) -> list[db.Row]:
    """All endpoints, or those of one business, oldest first."""
    return page(business_id)[::-1]


def page(business_id: int | None = None, *, before: int | None = None, limit: int | None = None) -> list[db.Row]:
    """The endpoints of `every`, the newest first: *limit* at most with a smaller id than *before*; None, no bound."""
    return _listed(business_id=business_id, before_id=before, page_max=limit)


def one(endpoint_id: int, business_id: int | None = None) -> db.Row:
    """
    One endpoint.

    Raises:
        NoSuchEndpoint: there is none, or it is another business's.
    """
    return _there(_listed(business_id=business_id, endpoint_id=row_id.possible(endpoint_id), page_max=1))[0]


def _listed(
    *, business_id: int | None, endpoint_id: int | None = None, before_id: int | None = None, page_max: int | None
) -> list[db.Row]:
    asked = {"business_id": business_id, "endpoint_id": endpoint_id, "before_id": before_id, "page_max": page_max}
    return list(db.run(sql.list_endpoints, **asked))


def set_(
    endpoint_id: int,
    *,
    business_id: int | None = None,
    url: str | None = None,
    event_types: Iterable[str] | None = None,
    payload: str | None = None,
    state: str | None = None,
    is_operators: bool = True,
    actor: str,
) -> db.Row:
    """
    Change what is given of an endpoint; what is None stays.  Switched on, its failures are forgotten.

    Raises:
        BadEndpoint: says what is wrong.
    """
    if url is not None:
        _check_url(url, is_operators=is_operators)
    if payload is not None:
        _check_payload(payload)
    if state not in (None, "on", "off"):
        raise BadEndpoint("an endpoint is on or off")
    types = None if event_types is None else _types(event_types)
    return _there(
        db.run(
            sql.set_endpoint,
            endpoint_id=endpoint_id,
            business_id=business_id,
            url=url,
            own_networks=is_operators,
            event_types=types,
            payload=payload,
            state=state,
            who=actor,
        )
    )


def remove(endpoint_id: int, *, business_id: int | None = None, actor: str) -> dict[str, int]:
    """
    Forget an endpoint; `waiting` says how many events it did not receive.

    Its deliveries go in parts, each a transaction (of the API's request all are one): an operator who is stopped
    half-way removes it once more.

    Raises:
        NoSuchEndpoint: there is none, or it is another business's.
    """
    _there(db.run(sql.begin_removal, endpoint_id=endpoint_id, business_id=business_id) or None)
    waiting = 0
    while (part := db.run(sql.remove_deliveries, endpoint_id=endpoint_id, batch_max=_REMOVED_AT_ONCE)).deleted:
        waiting += part.waiting
    _there(db.run(sql.remove_endpoint, endpoint_id=endpoint_id, who=actor))
    return {"id": endpoint_id, "waiting": waiting}


def secret(endpoint_id: int, business_id: int | None = None) -> SignedEndpoint:
    """
    The secret with which its receiver verifies.

    Raises:
        NoSuchEndpoint: there is none, or it is another business's.
        SettingsError: OUTBOUND_WEBHOOK_KEY is not set.
    """
    row = one(endpoint_id, business_id)
    return SignedEndpoint(row.id, signature.secret(row.id, row.secret_generation))


def rotate(endpoint_id: int, *, business_id: int | None = None, actor: str) -> SignedEndpoint:
    """
    Give an endpoint another secret; for 24 hours what is sent is signed with both.

    Raises:
        NoSuchEndpoint: there is none, or it is another business's.
        BadEndpoint: it was rotated within the last 24 hours.
        SettingsError: OUTBOUND_WEBHOOK_KEY is not set.
    """
    signature.secret(1, 1)
    one(endpoint_id, business_id)
    row = db.run(sql.rotate_secret, endpoint_id=endpoint_id, business_id=business_id, who=actor)
    if row is None:
        raise BadEndpoint(
            "its secret was changed within the last 24 hours, and the one before is good until then: wait"
        )
    return SignedEndpoint(row.id, signature.secret(row.id, row.secret_generation))


def ping(endpoint_id: int, *, business_id: int | None = None) -> str:
    """
    Send an endpoint a ping, and return the ping's id.

    Raises:
        NoSuchEndpoint: there is none, or it is another business's.
    """
    return str(_there(db.run(sql.write_ping, endpoint_id=endpoint_id, business_id=business_id)).public_id)


def deliveries(
    endpoint_id: int,
    *,
    business_id: int | None = None,
    states: Sequence[str] | None = None,
    before_id: int | None = None,
    limit: int = 100,
) -> list[db.Row]:
    """
    The events that an endpoint received or waits for, the newest first.

    Args:
        states: some of STATES; None for all.
        before_id: only events with a smaller id, which is how the next page begins.
        limit: 1 to PAGE_MAX rows.

    Raises:
        BadEndpoint: there is no such endpoint, or state.
    """
    one(endpoint_id, business_id)
    if unknown := sorted(set(states or ()) - set(STATES)):
        raise BadEndpoint(f"{unknown[0]} is no state of a delivery: {', '.join(STATES)} are")
    return list(
        db.run(
            sql.list_deliveries,
            endpoint_id=endpoint_id,
            business_id=business_id,
            states=list(states) if states else None,
            before_id=before_id,
            page_max=max(1, min(limit, PAGE_MAX)),
        )
    )


def replay(
    endpoint_id: int,
    *,
    business_id: int | None = None,
    event_ids: Sequence[str] | None = None,
    event_types: Iterable[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    given_up_only: bool = False,
    actor: str,
) -> int:
    """
    Send events once more, under the ids that they had; return how many.

    Raises:
        BadEndpoint: there is no such endpoint, event or type, or nothing says which events are meant.
    """
    if not (event_ids or event_types or since or until or given_up_only):
        raise BadEndpoint("say which events: by their ids, types, or time, or all that were given up")
    if since and until and since >= until:
        raise BadEndpoint.about("since", "--since must lie before --until")
    wanted = {
        "endpoint_id": endpoint_id,
        "business_id": business_id,
        "event_ids": list(event_ids) if event_ids else None,
        "types": _types(event_types) or None if event_types else None,
        "since": since,
        "until": until,
        "given_up_only": given_up_only,
        "who": actor,
    }
    total, after_id = 0, 0
    while True:
        row = _there(db.run(sql.replay_deliveries, **wanted, after_id=after_id, batch_max=REPLAY_BATCH))
        if row.unknown is not None:
            shown = plain_text.visible(row.unknown)[:50]
            fault = f"this endpoint has no event {shown}: `outbound webhook deliveries` shows those that it has"
            raise BadEndpoint.about("event_ids", fault)
        total += int(row.replayed)
        if row.replayed < REPLAY_BATCH:
            return total
        after_id = row.last_id


def _there(row: db.Row) -> db.Row:
    if not row:
        raise NoSuchEndpoint("there is no such endpoint: see `outbound webhook list`")
    return row


def _types(given: Iterable[str]) -> list[str]:
    wanted = set(given)
    if unknown := sorted(wanted - TYPES.keys()):
        fault = f"{plain_text.visible(unknown[0])[:50]} is no type of event: {', '.join(TYPES)} are"
        raise BadEndpoint.about("event_types", fault)
    return [name for name in TYPES if name in wanted]


def _check_payload(payload: str) -> None:
    if payload not in ("full", "thin"):
        raise BadEndpoint.about("payload", "a payload is full or thin")


def _check_url(url: str, *, is_operators: bool) -> None:
    allowed = network_addresses.networks((settings().webhook_allow or "") if is_operators else "")
    if fault := address.fault(url, allowed):
        raise BadEndpoint.about("url", fault)
