"""Control: pausing, resuming, canceling and stopping, each by a form; what cannot be undone is asked about once."""

from starlette.responses import Response

from outbound.page import menu
from outbound.page.route import Screens
from outbound.page.visit import Refused, Visit

screens = Screens()

KINDS = {
    "account": "everything",
    "business": "businesses",
    "campaign": "campaigns",
    "number": "numbers",
    "call": "calls",
}
_AT_ONCE = ("pause", "resume")
_ASKED = ("cancel", "stop")
_WORD = "STOP"  # typed where everything is concerned; it is the same in each language


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
    await visit.send("POST", "control", KINDS[scope], "all" if scope == "account" else key, verb, body=body)
    return visit.go(_back(fields, scope, key), verb)


async def _ask(visit: Visit, fields: dict[str, str], *, is_everything: bool) -> Response:
    scope, key = fields["scope"], fields.get("key", "")
    own = await visit.read("control")
    live = next((row["live"] for row in own["control"] if (row["scope"], row["key"]) == (scope, key)), 0)
    return visit.show(
        "confirm.html",
        screen="control",
        fields=fields,
        live=live,
        word=_WORD if is_everything else None,
        was_wrong=is_everything and bool(fields.get("agreed")),
        back=_back(fields, scope, key),
    )


def _back(fields: dict[str, str], scope: str, key: str) -> str:
    """The screen that a form was on, by its own word for it."""
    if scope in ("campaign", "call") and fields.get("from") == scope:
        return f"{menu.ROOT}/{KINDS[scope]}/{int(key)}" if key.isdigit() else f"{menu.ROOT}/"
    lists = ("campaigns", "control")
    return f"{menu.ROOT}/{fields['from']}" if fields.get("from") in lists else f"{menu.ROOT}/"
