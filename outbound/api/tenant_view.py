"""Leaves out of a business's own rows what is the operator's: names, and why everything was held."""

import re
from dataclasses import asdict
from typing import Any

from outbound import db
from outbound.calls.call_timeline import Ending, Entry
from outbound.monitoring import situation

sql = db.statements("api/tenant_view")

# Why a call waits, where the reason is the installation's or another tenant's and not the token's business.
_INSTALLATION = ("no_worker", "no_scheduler", "workers_busy", "trial", "account_missing")
# Facts that are shown as they are; the others without their sentence.
_OWN_FACTS = ("in_the_air", "idle", "not_due", "outside_window", "no_destination", "paused_calls")
_OWN_SCOPES = ("Business ", "Campaign ")
_HELD = "The operator's limits, or those of the number that calls, hold it: it is dialed as soon as they allow."
_OPERATOR = "The operator's installation holds it: ask the operator."
_ENDED = "an operator ended it"
_CANCELED = "operator_canceled"
_OPERATOR_CODE = "operator"  # in place of what only the operator may know
_OPERATORS_HOLDERS = ("account", "everything", "number", "installation")
_OWN_STOPS = ("nobody said ", "it starts at ", "business ", "campaign ")
_OPERATORS_REASON = re.compile(r"(are not allowed to anybody) \(.*\)(: see )", re.DOTALL)


def without_reason(text: str) -> str:
    """A sentence without the operator's reason for closing a destination to everybody."""
    return _OPERATORS_REASON.sub(r"\1\2", text)


class View:
    """
    What is shown to a token of one business; to a token of all, everything.

    Args:
        business_id: the one business; None for all.
    """

    def __init__(self, business_id: int | None) -> None:
        self._business_id = business_id
        self._own: set[str] | None = None

    @property
    def is_whole(self) -> bool:
        """Is nothing left out?"""
        return self._business_id is None

    def _is_own(self, actor: str) -> bool:
        """Is it one of the business's tokens, as the audit names them?"""
        if self._own is None:
            self._own = {f"({row.public_id})" for row in db.run(sql.own_tokens, business_id=self._business_id)}
        return actor.startswith("token ") and actor.rpartition(" ")[2] in self._own

    def text(self, sentence: str) -> str:
        """A sentence that may hold the operator's reason."""
        return sentence if self.is_whole else without_reason(sentence)

    def _is_of_operator(self, stopped_by: str | None) -> bool:
        return not self.is_whole and stopped_by is not None and not self._is_own(stopped_by)

    def who(self, actor: str) -> str | None:
        """The name of the actor; None where that is the operator, or another business's."""
        return actor if self.is_whole or self._is_own(actor) else None

    def pause(self, row: dict[str, Any], prefix: str = "") -> dict[str, Any]:
        """A row without the name (`who`) and the reason of an operator who has paused something."""
        who = row[f"{prefix}who"]
        if self.is_whole or (who and self.who(who)):
            return row
        return row | {f"{prefix}who": None, f"{prefix}reason": None}

    def blockers(self, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What keeps every call from being dialed; one of them, without saying which, where that is the operator's."""
        return found if self.is_whole else [one | {"code": _OPERATOR_CODE, "sentence": ""} for one in found[:1]]

    def call(self, row: dict[str, Any]) -> dict[str, Any]:
        """A call, without the reason of an operator who ended it."""
        if not self._is_of_operator(row.get("stopped_by")):
            return row
        hidden: dict[str, Any] = {"stopped_by": None, "stop_reason": None}
        if row.get("error_code") == _CANCELED:
            hidden["error_message"] = "An operator canceled it."
        return row | hidden

    def how_it_ended(self, row: dict[str, Any], ending: Ending | None) -> dict[str, Any] | None:
        """How a call ended, without the name and the reason of an operator who ended it."""
        if ending is not None and self._is_of_operator(row.get("stopped_by")):
            ending = Ending(_OPERATOR_CODE, _ENDED)
        return None if ending is None else asdict(ending)

    def event(self, entry: Entry) -> dict[str, Any]:
        """The entry of a timeline; who did it is shown where that is the business's own, or no person."""
        shown = asdict(entry)
        is_own = entry.scope in ("business", "campaign", "call") or entry.by is None or entry.by.startswith("the ")
        if self.is_whole or (is_own and entry.scope not in ("account", "number")):
            return shown
        return shown if entry.by and self._is_own(entry.by) else shown | {"by": None, "why": None}

    def why(self, call_id: int, reason: dict[str, Any]) -> dict[str, Any]:
        """Why a call is not being dialed."""
        if self.is_whole:
            return reason
        details = reason["details"]
        holder = details.get("scope") or str(details.get("paused", "")).partition(" ")[0]
        if reason["code"] == "ended" and self._is_of_operator(db.run(sql.stopped_by, call_id=call_id)):
            return reason | {"sentence": f"It has ended: {_ENDED}.", "details": {"holder": _OPERATOR_CODE}}
        if reason["code"] in _INSTALLATION or holder in _OPERATORS_HOLDERS:
            return reason | {"sentence": _HELD, "details": {"holder": _OPERATOR_CODE}}
        return reason | {"sentence": without_reason(reason["sentence"])}

    def fact(self, fact: situation.Fact) -> situation.Fact:
        """One thing that is so."""
        if self.is_whole:
            return fact
        if fact.holder is not None and fact.holder not in _OPERATORS_HOLDERS:
            return fact._replace(sentence=without_reason(fact.sentence))
        if fact.code in _OWN_FACTS or fact.sentence.startswith(_OWN_SCOPES):
            return fact
        return fact._replace(sentence=_HELD if fact.kind == "ok" else _OPERATOR)

    def preview(self, shown: dict[str, Any]) -> dict[str, Any]:
        """The preview of a campaign."""
        if self.is_whole:
            return shown
        own = [one if one.startswith(_OWN_STOPS) else _OPERATOR for one in shown["stopped_by"]]
        limited = shown["limited_by"]
        if limited is not None and not limited.startswith(_OWN_STOPS):
            limited = "the operator's limits"
        parts = {
            name: {code: part | {"sentence": without_reason(part["sentence"])} for code, part in found.items()}
            for name, found in (("held", shown["held"]), ("refused", shown["refused"]))
        }
        return shown | parts | {"stopped_by": list(dict.fromkeys(own)), "limited_by": limited}
