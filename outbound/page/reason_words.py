"""Says in a language why a call is not dialed, what happened to it, and how it ended: from codes and their details."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from markupsafe import Markup

from outbound.page.words import Words

Details = Mapping[str, Any]
Said = Callable[[Details, Markup, Words], Markup]  # of the details, and until when it holds

_NO_OPENING = timedelta(days=13, hours=23)  # an hour so far away is none: two weeks are looked through


def why(reason: Details, zone: str, t: Words) -> Markup:
    """
    Why a call is not being dialed.

    Args:
        reason: `code`, `sentence`, `until` and `details`, as the API's operation `why` answers.
        zone: the time zone of the moments in it.
    """
    code, details = reason["code"], reason["details"]
    until = t.moment(reason["until"], zone)
    if details.get("holder") == "operator":
        return t("why.ended_operator" if code == "ended" else "why.operator")
    if code == "ended":
        return _has_ended(details, zone, t)
    if t.has(f"obstacle.{code}"):
        return _joined(t(f"obstacle.{code}"), _tail(reason, until, zone, t))
    if code in ("stopped_recovery", "stopped_broker"):
        return t(f"why.{code}", since=t.moment(details["since"], zone))
    if code == "paused":
        what = scope(*_named(details["paused"]), t)
        return t("why.paused", what=what, since=t.moment(details["since"], zone), why=paused_why(details, t))
    if code in SENTENCES:
        return SENTENCES[code](details, until, t)
    if t.has(f"why.{code}"):
        return t(f"why.{code}", until=until)
    return t.sentence(reason["sentence"])


def _has_ended(details: Details, zone: str, t: Words) -> Markup:
    values = {"status": t(f"status.{details['status']}"), "at": t.moment(details["ended_at"], zone)}
    error = fault(details["error_code"], details["error_message"], t)
    return _joined(t("why.ended", **values), error)


def _tail(reason: Details, until: Markup, zone: str, t: Words) -> Markup:
    """What becomes of a call that an obstacle is in the way of."""
    details = reason["details"]
    if details.get("is_final"):
        for key, word in (("canceled_at", "why.final_at"), ("canceled_from", "why.final_from")):
            if details.get(key):
                return t(word, at=t.moment(details[key], zone))
        return t("why.final")
    if details.get("is_never"):
        return t("why.no_hour")
    if "due_at" in details:
        return t("why.held_until", until=until)
    if reason["code"] == "outside_window" and _moment(reason["until"]) > datetime.now(UTC) + _NO_OPENING:
        return t("why.no_hour")
    return t("why.may_be_dialed", until=until)


def _moment(at: datetime | str) -> datetime:
    return datetime.fromisoformat(at) if isinstance(at, str) else at


def _in_the_air(details: Details, _: Markup, t: Words) -> Markup:
    status = details["status"]
    said = t("why.initiated") if status == "initiated" else t("why.in_the_air", status=t(f"status.{status}"))
    return _joined(said, t("why.hanging_up") if details["hang_up"] else Markup(""))


def _not_due(details: Details, until: Markup, t: Words) -> Markup:
    if details["put_backs"]:
        return t("why.not_due_again", until=until)
    if details["attempt"] > 1:
        return t("why.not_due_attempt", attempt=details["attempt"], until=until)
    return t("why.not_due", until=until)


def _hold(details: Details, until: Markup, t: Words) -> Markup:
    if details["troubles"]:
        return t("why.hold_carrier", until=until)
    return t("why.hold_cancel", what=_scope_of(details, t), until=until)


def _live_max(details: Details, _: Markup, t: Words) -> Markup:
    said = t("why.live_max", what=_scope_of(details, t), live=details["live"], most=details["live_max"])
    return _joined(said, t("why.live_unknown", n=details["unknown"]) if details["unknown"] else Markup(""))


SENTENCES: dict[str, Said] = {
    "in_the_air": _in_the_air,
    "account_missing": lambda details, _, t: t("why.account_missing", account=t.ltr(details["account"])),
    "not_due": _not_due,
    "hold": _hold,
    "spend_cap": lambda details, until, t: t(
        "why.spend_cap", what=_scope_of(details, t), cap=t(f"cap.{details['cap']}"), until=until
    ),
    "live_max": _live_max,
    "pace": lambda details, until, t: t(
        "why.pace", what=_scope_of(details, t), rate=details["calls_per_second"], until=until
    ),
    "workers_busy": lambda details, _, t: t("why.workers_busy", n=details["threads"]),
    "due": lambda details, _, t: t("why.due", n=details["before"]),
}


def scope(kind: str, key: str, t: Words) -> Markup:
    """What a control is of: everything, a business, a campaign, a number or a call."""
    return t("scope.account") if kind in ("account", "everything") else t(f"scope.{kind}", name=t.ltr(key))


def _scope_of(details: Details, t: Words) -> Markup:
    return scope(details["scope"], details["key"], t)


def _named(called: str) -> tuple[str, str]:
    """What `why` calls a scope, like `business 3` or `everything`, as its kind and its key."""
    kind, _, key = called.partition(" ")
    return kind, key


def paused_why(pause: Details, t: Words) -> Markup:
    """By whom something was paused, and why: `who` and `reason` may be None; or was it the breaker (`is_breaker`)?"""
    by = t("pause.breaker") if pause.get("is_breaker") else _by(pause["who"], t)
    return t("pause.why", who=by, reason=pause["reason"] or t("pause.no_reason"))


def stopped(blocker: Details, zone: str, t: Words) -> Markup:
    """What keeps every call from being dialed: one of dialing_blockers, as a part of a sentence."""
    return t.either(f"stop.{blocker['code']}", blocker["sentence"], until=t.moment(blocker["until"], zone))


def _by(who: str | None, t: Words) -> Markup:
    return t("pause.by", who=who) if who else t("pause.operator")


def fault(code: str | None, message: str | None, t: Words) -> Markup:
    """What a call was closed with: our own codes in the language, what the carrier said as it is; '' of nothing."""
    if code is None:
        return t.sentence(message) if message else Markup("")
    if t.has(f"obstacle.{code}"):
        return t(f"obstacle.{code}")
    if t.has(f"closed.{code}"):
        return t(f"closed.{code}")
    return _joined(t("closed.code", code=t.ltr(code)), t.sentence(message) if message else Markup(""))


def ending(ended: Details, t: Words) -> Markup:
    """How a call ended, or who asked for that: `ending` of the API's call."""
    code, details = ended["code"], ended["details"]
    if code in ("stopped", "canceled"):
        said = t(f"ending.{code}", by=_by(details["who"], t))
        return t("ending.because", what=said, reason=details["reason"]) if details["reason"] else said
    if code == "failed":
        return fault(details["error_code"], details["message"], t)
    if code == "time_limit":
        return t("ending.time_limit", limit=t.duration(details["seconds"]))
    return t.either(f"ending.{code}", ended["sentence"])


def event(entry: Details, zone: str, t: Words) -> Markup:
    """What happened to a call: an event of the API's call."""
    code, details = entry["code"], entry["details"]
    if code == "reported":
        source = t.either(f"source.{details['source'] or 'unknown'}", details["source"])
        return t("event.reported", source=source, status=t.either(f"status.{details['status']}", details["status"]))
    if code == "dialed" and details["from_number"]:
        return t("event.dialed_from", number=details["from_number"])
    if code == "ended":
        return _ended(details, t)
    if code == "reschedule":
        return t("event.reschedule", **{name: t.moment(details[name], zone) for name in ("from", "to")})
    if "scope" in details:
        own = t("scope.this_call")
        return t(f"event.{code}", what=own if details["scope"] == "call" else _scope_of(details, t))
    return t(f"event.{code}", **details) if t.has(f"event.{code}") else t.sentence(entry["what"])


def _ended(details: Details, t: Words) -> Markup:
    status = t(f"status.{details['status']}")
    if details["duration_s"]:
        return t("event.ended_after", status=status, duration=t.duration(details["duration_s"]))
    return t("event.ended", status=status)


def event_by(entry: Details, t: Words) -> Markup | None:
    """The name of who did it: a person or token as it is, the retry policy in the language; None of nobody."""
    if entry["code"] == "next_attempt":
        first = entry["details"]["retry_of"]
        return t("event.by_policy", call=t.ltr(first)) if first else t("event.by_policy_alone")
    return Markup("<bdi>{}</bdi>").format(entry["by"]) if entry["by"] else None


def event_why(entry: Details, t: Words) -> Markup | None:
    """Why it was done: our own codes in the language, what people and carriers said as it is."""
    details = entry["details"]
    code = details.get("held_by") or details.get("error_code")
    if code is not None and not entry["by"] and entry["why"]:
        return fault(code, entry["why"], t)
    return Markup("<bdi>{}</bdi>").format(entry["why"]) if entry["why"] else None


def _joined(*parts: Markup) -> Markup:
    return Markup(" ").join(part for part in parts if part)
