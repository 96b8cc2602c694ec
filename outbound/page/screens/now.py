"""Now: what goes on in a sentence, what needs a person, six numbers, the last hour, campaigns and the latest calls."""

from datetime import datetime
from typing import Any, NamedTuple

from markupsafe import Markup
from starlette.responses import RedirectResponse, Response

from outbound.page import menu, render, words
from outbound.page.live import Topic
from outbound.page.now_reader import COUNTED_MAX, OF_ALL, Now
from outbound.page.reason_words import paused_why, stopped
from outbound.page.route import Screens
from outbound.page.visit import Visit, require
from outbound.page.words import Words

screens = Screens()

PARTS = ("sentence", "needs", "numbers", "chart", "campaigns", "latest")
_STOPS = ("stopped_recovery", "stopped_broker", "no_scheduler", "no_worker", "operator")
_HEIGHT = 120  # of the chart, below which 10 are left for the line's width


class Need(NamedTuple):
    """Something that needs a person: how bad, what it is, how it is mended; and a form or a link that does it."""

    state: str
    text: Markup
    mend: Markup
    form: dict[str, str] | None = None
    href: str | None = None


@screens.shows("/")
async def now(visit: Visit) -> Response:
    """Show what goes on now; who may not see that is led to the first screen that they may see."""
    if not visit.may("calls:read"):
        entries = menu.entries(visit.may)
        if entries:
            return RedirectResponse(entries[0].href, 303, headers=render.HEADERS)
        require(visit, "calls:read")
    business = visit.caller.business_id or OF_ALL
    found = await visit.request.app.state.reader.of(business)
    return visit.show("now.html", screen="now", **values(found, visit.t), may_control=visit.may("control"))


def parts(found: Now, topic: Topic) -> dict[str, str]:
    """The parts of the screen that change, by the id of their element."""
    language = topic.language
    shown = values(found, words.of(language)) | {"may_control": topic.may_control}
    return {f"{language}-{name}": render.text(f"now/{name}.html", language, shown) for name in PARTS}


def values(found: Now, t: Words) -> dict[str, Any]:
    """What the template shows of what was read."""
    queue, live = found["queue"], found["live"]
    zone = found["zone"]
    talking = live["calls"].get("in-progress", 0)
    in_the_air = sum(live["calls"].get(status, 0) for status in ("initiated", "ringing", "in-progress"))
    needs = _needs(found, t)
    return {
        "at": found["at"],
        "zone": zone,
        "sentence": _sentence(found, t, talking, in_the_air),
        "needs": needs,
        "waiting": t.bounded(queue["due"] + queue["stopped"] + queue["later"], COUNTED_MAX),
        "due": t.bounded(queue["due"], COUNTED_MAX),
        "oldest_s": _age(found["at"], queue["first_due_at"]) if queue["due"] else None,
        "stopped": t.bounded(queue["stopped"], COUNTED_MAX),
        "later": t.bounded(queue["later"], COUNTED_MAX),
        "next_at": queue["next_at"],
        "in_the_air": in_the_air,
        "live_max": found["live_max"],
        "unbound": live["unbound"],
        "unbound_s": _age(found["at"], live["unbound_since"]) if live["unbound"] else None,
        "threads": found["threads"],
        "minutes": chart(found["minutes"]),
        "campaigns": found["campaigns"],
        "latest": found["latest"],
        "counted_max": COUNTED_MAX,
    }


def _age(at: str, since: str) -> float:
    return (datetime.fromisoformat(at) - datetime.fromisoformat(since)).total_seconds()


def _sentence(found: Now, t: Words, talking: int, in_the_air: int) -> Markup:
    queue, blockers = found["queue"], found["blockers"]
    everything = next((pause for pause in found["pauses"] if pause["scope"] == "account"), None)
    stop = next((blocker for blocker in blockers if blocker["code"] in _STOPS), None)
    if stop is None and everything is not None:
        return t("now.paused", since=t.moment(everything["since"], found["zone"]), why=paused_why(everything, t))
    if blockers:
        return t("now.stopped", why=stopped(stop or blockers[0], found["zone"], t))
    if found["live"]["begun_per_s"]:
        key = "now.dialing" if talking else "now.dialing_nobody_talks"
        return t(key, rate=found["live"]["begun_per_s"], n=talking)
    if in_the_air:
        return t("now.in_the_air", n=in_the_air)
    if queue["due"]:
        return t("now.due", n=queue["due"])
    if queue["stopped"]:
        return t("now.all_stopped", n=queue["stopped"])
    if queue["later"]:
        return t("now.later", at=t.moment(queue["next_at"], found["zone"]))
    return t("now.idle")


def _needs(found: Now, t: Words) -> list[Need]:
    needs = []
    for blocker in found["blockers"]:
        code = blocker["code"]
        if code == "paused":
            continue
        state = "bad" if blocker["kind"] == "broken" or code == "operator" else "warn"
        needs.append(Need(state, stopped(blocker, found["zone"], t), t.either(f"mend.{code}", "")))
    needs += [_paused(pause, found["zone"], t) for pause in found["pauses"]]
    if found["unknown"]:
        text = t("need.unknown", n=found["unknown"])
        needs.append(Need("warn", text, t("mend.unknown"), href=f"{menu.ROOT}/calls?status=failed"))
    if found["webhooks_off"]:
        text = t("need.webhooks_off", n=found["webhooks_off"])
        needs.append(Need("warn", text, t("mend.webhooks_off"), href=f"{menu.ROOT}/webhooks"))
    return needs


def _paused(pause: dict[str, Any], zone: str, t: Words) -> Need:
    name = pause["name"] or pause["key"]
    what = t(f"scope.{pause['scope']}", name=name) if pause["scope"] != "account" else t("scope.account")
    text = t("need.paused", what=what, since=t.moment(pause["since"], zone), why=paused_why(pause, t))
    form = {"scope": pause["scope"], "key": pause["key"], "verb": "resume"}
    return Need("bad" if pause["is_breaker"] else "warn", text, t("mend.paused"), form=form)


def chart(minutes: list[dict[str, int]]) -> dict[str, Any]:
    """The last hour as lines from the left, the past, to the right: paths of an SVG of 600 x 130, and its numbers."""
    counts = {name: [0] * 60 for name in ("ended", "answered", "failed")}
    for one in minutes:
        for name, values in counts.items():
            if 0 <= one["minutes_ago"] < 60:
                values[59 - one["minutes_ago"]] = one[name]
    top = max([1, *counts["ended"]])
    lines = {
        name: " ".join(
            f"{'M' if place == 0 else 'L'}{place * 600 / 59:.1f} {_HEIGHT + 5 - value * _HEIGHT / top:.1f}"
            for place, value in enumerate(values)
        )
        for name, values in counts.items()
    }
    sums = {name: sum(values) for name, values in counts.items()}
    return {"lines": lines, "sums": sums, "top": top}
