"""Names, in place of a command, the operation that does the same over HTTP: who sends requests may have no command."""

import re
from collections.abc import Iterator

_COMMAND = re.compile(r"`outbound ([^`]*)`")
_OPTION = re.compile(r"--([a-z]+(?:-[a-z]+)*)")
_V1 = "/v1"
_SCOPES = {"business": "businesses", "campaign": "campaigns", "call": "calls", "number": "numbers"}
_LISTS = {
    "business": "businesses",
    "campaign": "campaigns",
    "window": "windows",
    "retry-policy": "retry-policies",
    "destination": "destinations",
    "token": "tokens",
    "imports": "imports",
    "webhook": "webhooks",
}
_FIELDS = {"business": "business_id", "campaign": "campaign_id"}  # of options that a request calls otherwise


def worded(sentence: str) -> str:
    """A sentence, in whichever language, whose commands are operations; a command that has none stays."""
    return _COMMAND.sub(_named, sentence) if "`outbound " in sentence else sentence


def _named(command: re.Match[str]) -> str:
    words = command[1].split()
    found = _operation(words)
    if found is None:
        return command[0]
    body = "" if found.startswith("GET") else ", ".join(_fields(words, command[1]))
    return f"`{found} {{{body}}}`" if body else f"`{found}`"


def _fields(words: list[str], command: str) -> Iterator[str]:
    """The fields of the body, with the values that they have whatever is asked for."""
    match words:
        case ["destination", verb, place, *_]:
            yield f'"place": "{place}", "allowed": {"true" if verb == "allow" else "false"}'
        case ["webhook", "set", _, "--on"]:
            yield '"state": "on"'
            return
    for name in _OPTION.findall(command):
        field = _FIELDS.get(name, name.replace("-", "_"))
        yield f'"{"numbers" if field == "number" and words[1:2] == ["set"] else field}": …'


def _operation(words: list[str]) -> str | None:
    """The method and the path that do what a command does; None where none does."""
    match words:
        case [("pause" | "resume" | "drain" | "stop" | "cancel" | "limit") as verb, "everything", *_]:
            return _of_scope(verb, "everything/all")
        case [("pause" | "resume" | "drain" | "stop" | "cancel" | "limit") as verb, kind, key, *_] if kind in _SCOPES:
            return _of_scope(verb, f"{_SCOPES[kind]}/{key}")
        case [("business" | "campaign") as kind, "set", key, *_]:
            return f"PATCH {_V1}/{_SCOPES[kind]}/{key}"
        case [kind, "list"] if kind in _LISTS:
            return f"GET {_V1}/{_LISTS[kind]}"
        case ["destination", "allow" | "deny", *_]:
            return f"PUT {_V1}/destinations"
        case ["webhook", "set", key, *_]:
            return f"PATCH {_V1}/webhooks/{key}"
        case ["webhook", "deliveries", *rest]:
            return f"GET {_V1}/webhooks/{rest[0] if rest else '{endpoint_id}'}/deliveries"
        case ["suppress", "add", *_]:
            return f"POST {_V1}/suppressions"
        case ["cancel", *_]:
            return f"POST {_V1}/calls/cancel"
        case ["enqueue", *_]:
            return f"POST {_V1}/calls"
        case ["call", "show", key, *_]:
            return f"GET {_V1}/calls/{key}"
        case ["call", "retry", *rest]:
            return f"POST {_V1}/calls/{rest[0] if rest else '{call_id}'}/retry"
        case ["campaign", "show", *rest]:
            return f"GET {_V1}/campaigns/{rest[0] if rest else '{campaign_id}'}"
        case ["calls", *_]:
            return f"GET {_V1}/calls"
        case ["audit", "verify", *_]:
            return f"GET {_V1}/audit/verify"
    return None


def _of_scope(verb: str, scope: str) -> str:
    return f"PUT {_V1}/control/{scope}/limits" if verb == "limit" else f"POST {_V1}/control/{scope}/{verb}"
