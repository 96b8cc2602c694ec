"""Control: what is paused, limited and held, the forms that change it, and the audit."""

import json
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from outbound import db
from outbound.api.tenant_view import View
from outbound.formats import row_id
from outbound.page import clock, limit_form, menu, words
from outbound.page.limit_form import LIMITS
from outbound.page.route import Screens
from outbound.page.visit import Refused, Visit
from outbound.page.words import Words

screens = Screens()
sql = db.statements("page/control")

KINDS = {
    "account": "everything",
    "business": "businesses",
    "campaign": "campaigns",
    "number": "numbers",
    "call": "calls",
}
_NAMED = ("business", "campaign")
_AT_ONCE = ("pause", "resume")
_ASKED = ("cancel", "stop")
_WORD = "STOP"  # typed where everything is concerned; it is the same in each language
_ROWS_MAX = 50
_SCAN_MAX = 3000  # links of the audit that one page looks through: some 30 ms
_FILTERS = ("who", "action", "scope", "key", "until", "before")
_DETAILS_MAX = 600  # characters


class _Pause(NamedTuple):
    """A pause: was it the breaker, else who; None for an operator whom the token may not see."""

    is_breaker: bool
    who: str | None


@screens.shows("/control")
async def show(visit: Visit) -> Response:
    """Show what is paused, limited and held, and the audit."""
    return await _show(visit, {})


@screens.does("/control")
async def filter_audit(visit: Visit) -> Response:
    """Show the same, with the entries of the audit that fit a form."""
    return await _show(visit, await visit.form())


@screens.does("/control/verify")
async def verify(visit: Visit) -> Response:
    """Recompute the audit's chain, and show whether it holds."""
    return await _show(visit, {}, chain=await visit.read("audit", "verify"))


@screens.does("/control/act")
async def act(visit: Visit) -> Response:
    """Do to a scope what a form says, or ask first."""
    fields = await visit.form()
    verb, scope, key = fields.get("verb", ""), fields.get("scope", ""), fields.get("key", "")
    if scope not in KINDS or verb not in (*_AT_ONCE, *_ASKED):
        raise Refused(400, visit.t.plain("error.unreadable"))
    is_everything = scope == "account" and verb != "resume"
    is_agreed = fields.get("agreed", "") == (_WORD if is_everything else "yes")
    if (verb in _ASKED or is_everything) and not is_agreed:
        return await _ask(visit, fields, is_everything=is_everything)
    reason = fields.get("reason", "")
    body = None if verb == "resume" else {"reason": reason or None}
    answer = await visit.send("POST", "control", KINDS[scope], "all" if scope == "account" else key, verb, body=body)
    is_in_vain = verb == "resume" and not answer["was_paused"]
    return visit.go(_back(fields, scope, key), "no_resume" if is_in_vain else verb)


@screens.does("/control/limits")
async def ask_limits(visit: Visit) -> Response:
    """Show the limits of a scope in a form."""
    return await _ask_limits(visit, await visit.form())


@screens.does("/control/limit")
async def limit(visit: Visit) -> Response:
    """Set the limits of a scope that were changed in a form; those of everything once the word is typed."""
    fields = await visit.form()
    scope, key = fields.get("scope", ""), fields.get("key", "")
    if scope == "account" and fields.get("agreed") != _WORD:
        return await _ask_limits(visit, fields, was_wrong=True)
    if scope not in KINDS:
        raise Refused(400, visit.t.plain("error.unreadable"))
    changed = limit_form.changed(fields)
    if changed:
        path = ("control", KINDS[scope], "all" if scope == "account" else key, "limits")
        await visit.send("PUT", *path, body=changed)
    return visit.go(f"{menu.ROOT}/control", "limit" if changed else "no_limit")


async def _ask_limits(visit: Visit, fields: dict[str, str], *, was_wrong: bool = False) -> Response:
    """The form with a scope's limits: what somebody typed, else what is so."""
    scope, key = fields.get("scope", ""), fields.get("key", "")
    if scope not in KINDS or scope == "call":
        raise Refused(400, visit.t.plain("error.unreadable"))
    rows = (await visit.read("control"))["control"]
    row: dict[str, Any] = next((one for one in rows if (one["scope"], one["key"]) == (scope, key)), {})
    name = row.get("name") or await _name(visit, scope, key)
    return visit.show(
        "control/limits.html",
        screen="control",
        scope=scope,
        key=key,
        name=name,
        fields=limit_form.fields(limit_form.names(scope, visit), row, fields),
        word=_WORD if scope == "account" else None,
        was_wrong=was_wrong,
    )


async def _name(visit: Visit, scope: str, key: str) -> str:
    """
    The name of a scope that nothing rules yet; its key where it has none.

    Raises:
        Refused: 404, there is no such business or campaign.
    """
    if scope not in _NAMED or row_id.read(key) is None:
        return key
    found: dict[str, Any] = await visit.read(KINDS[scope], key)
    return str(found["name"])


async def _show(visit: Visit, fields: dict[str, str], *, chain: dict[str, Any] | None = None) -> Response:
    scopes = (await visit.read("control"))["control"]
    own = visit.caller.business_id
    wanted = {name: fields.get(name, "") for name in _FILTERS}
    zone = await clock.zone(visit)
    asked = _asked(visit, wanted, zone) if visit.may("audit") else None
    caps, paused_by, calls, entries = await run_in_threadpool(_read, own, asked)
    return visit.show(
        "control.html",
        screen="control",
        zone=zone,
        scopes=[_scope(visit.t, row, caps, paused_by, own) for row in scopes],
        paused=[row for row in scopes if row["state"] != "running"],
        limited=sum(any(row.get(name) is not None for name in LIMITS) for row in scopes),
        is_all_paused=any(row["scope"] == "account" and row["state"] != "running" for row in scopes),
        calls=calls,
        is_of_all=own is None,
        kinds=[kind for kind in KINDS if kind != "account" and (own is None or kind != "number")],
        entries=[_entry(row) for row in entries if not row.is_end],
        older=next((row.place for row in entries if row.is_end), None),
        wanted=wanted,
        chain=chain,
    )


def _asked(visit: Visit, wanted: dict[str, str], zone: str) -> dict[str, Any]:
    """
    What a form asks of the audit, as the statement takes it; `until` is the end of that day in a time zone.

    Raises:
        Refused: the day is none.
    """
    asked: dict[str, Any] = {name: wanted[name].replace("\0", "") or None for name in ("who", "action", "scope", "key")}
    try:
        day = date.fromisoformat(wanted["until"]) if wanted["until"] else None
        until = day and datetime.combine(day + timedelta(days=1), time(), ZoneInfo(zone))
    except (ValueError, OverflowError):
        raise Refused(422, visit.t.plain("audit.no_day")) from None
    return asked | {"until": until, "before_place": row_id.read(wanted["before"])}


def _read(
    own: int | None, asked: dict[str, Any] | None
) -> tuple[list[db.Row], dict[tuple[str, str], _Pause], list[db.Row], list[Any]]:
    """Caps, pauses by scope, paused calls, and the audit's entries that are asked for."""
    caps = list(db.run(sql.used_caps, business_id=own))
    view = View(own)
    pauses = {
        (row.scope, row.key): _Pause(row.is_breaker, row.who and view.who(row.who))
        for row in db.run(sql.pauses, business_id=own, rows_max=1000)
    }
    calls = list(db.run(sql.paused_calls, business_id=own, rows_max=_ROWS_MAX))
    if asked is None:
        return caps, pauses, calls, []
    entries = db.run(sql.audit, business_id=own, scan_max=_SCAN_MAX, rows_max=_ROWS_MAX, **asked)
    return caps, pauses, calls, list(entries)


def _scope(
    t: Words, row: dict[str, Any], caps: list[db.Row], paused_by: dict[tuple[str, str], _Pause], own: int | None
) -> dict[str, Any]:
    """A scope as the table shows it: its name, its limits with what is used of each, and who paused it."""
    pause = paused_by.get((row["scope"], row["key"]), _Pause(False, None))
    uses = [("live_max", row["live"], row["live_max"])] if row["live_max"] is not None else []
    for cap in caps:
        if (cap.scope, cap.key) == (row["scope"], row["key"]):
            uses += [(f"calls_per_{cap.period}", cap.calls, cap.calls_max)] if cap.calls_max is not None else []
            uses += [(f"minutes_per_{cap.period}", cap.minutes, cap.minutes_max)] if cap.minutes_max is not None else []
    return row | {
        "title": t("scope." + row["scope"], name=row["name"] or row["key"]),
        "plain_title": t.plain("scope." + row["scope"], name=row["name"] or row["key"]),
        "uses": uses,
        "is_breaker": pause.is_breaker,
        "paused_by": pause.who,
        "reason": row["state_reason"] if own is None or pause.who else None,
    }


def _entry(row: db.Row) -> dict[str, Any]:
    """An entry of the audit; numbers of people are masked in it."""
    details = {name: value for name, value in (row.details or {}).items() if value not in (None, "", [], {})}
    text = json.dumps(details, ensure_ascii=False, indent=1) if details else ""
    if len(text) > _DETAILS_MAX:
        text = f"{text[:_DETAILS_MAX]}…"
    href = {"call": "calls", "campaign": "campaigns", "webhook_endpoint": "webhooks"}.get(row.scope)
    shown: dict[str, Any] = row._asdict()
    return shown | {
        "details": words.masked_in(text),
        "key": words.masked_in(row.key) if row.scope != "number" else row.key,
        "href": f"{menu.ROOT}/{href}/{row.key}" if href and row_id.read(row.key) is not None else None,
    }


async def _ask(visit: Visit, fields: dict[str, str], *, is_everything: bool) -> Response:
    scope, key = fields["scope"], fields.get("key", "").replace("\0", "")
    read = partial(db.run, sql.count_in_the_air, scope=scope, key=key, business_id=visit.caller.business_id)
    return visit.show(
        "confirm.html",
        screen="control",
        fields=fields,
        live=await run_in_threadpool(read),
        word=_WORD if is_everything else None,
        was_wrong=is_everything and bool(fields.get("agreed")),
        back=_back(fields, scope, key),
    )


def _back(fields: dict[str, str], scope: str, key: str) -> str:
    """The screen that a form was on, by its own word for it."""
    if scope in ("campaign", "call") and fields.get("from") == scope:
        number = row_id.read(key)
        return f"{menu.ROOT}/" if number is None else f"{menu.ROOT}/{KINDS[scope]}/{number}"
    lists = ("campaigns", "control")
    return f"{menu.ROOT}/{fields['from']}" if fields.get("from") in lists else f"{menu.ROOT}/"
