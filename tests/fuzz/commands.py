"""Commands with odd arguments: each is done, or refused in words and changes nothing."""

import random
from collections.abc import Callable

from tests.fuzz import inside
from tests.fuzz.inside import attack, changed, command, complain, digest, odd, place
from tests.fuzz.result import Result

# In capitals what is filled in; a command that waits, serves or rebuilds is not among them.
_COMMANDS = (
    "business add --name TEXT --twiml TWIML --number PHONE",
    "business add --name TEXT --voice-url URL --time-zone TEXT --region TEXT",
    "business set NUMBER --name TEXT",
    "business set 1 --voice-url URL",
    "business set 1 --twiml TWIML",
    "business list TEXT",
    "campaign add --business NUMBER --name TEXT --by TEXT",
    "campaign add --business 1 --name TEXT --voice-url URL --priority NUMBER --live-max NUMBER",
    "campaign set NUMBER --name TEXT --calls-per-second NUMBER --registry-max-age-days NUMBER",
    "campaign set 1 --starts MOMENT --ends MOMENT --retry-policy TEXT --clear TEXT",
    "campaign show NUMBER",
    "retry-policy add --business 1 --name TEXT --steps TEXT --per-day NUMBER --per-week NUMBER --by TEXT",
    "retry-policy use --business NUMBER TEXT",
    "window add --name TEXT --hours HOURS --note TEXT --known-until MOMENT --day-off MOMENT",
    "window preset TEXT --name TEXT --by TEXT",
    "window day NUMBER MOMENT --hours HOURS",
    "window assign --business NUMBER --window NUMBER",
    "window show NUMBER --zone TEXT",
    "enqueue --to PHONE --business NUMBER --key TEXT --at MOMENT --time-zone TEXT",
    "enqueue --to PHONE --campaign NUMBER --from PHONE",
    "import TEXT --business 1 --batch TEXT --to-column TEXT",
    "suppress add PHONE --business NUMBER --reason TEXT --by TEXT",
    "suppress add PHONE --everybody --region TEXT",
    "suppress remove PHONE --everybody --by TEXT",
    "suppress check PHONE --business NUMBER --region TEXT",
    "suppress import TEXT --everybody --reason TEXT",
    "consent give PHONE --business NUMBER --given-at MOMENT --expires-at MOMENT --source TEXT --by TEXT",
    "consent revoke PHONE --business NUMBER --by TEXT",
    "registry import TEXT --checked-at MOMENT",
    "pause TEXT NUMBER --reason TEXT --by TEXT",
    "pause business NUMBER --reason TEXT",
    "resume TEXT NUMBER --by TEXT",
    "cancel call NUMBER --reason TEXT",
    "stop number PHONE --reason TEXT",
    "drain business NUMBER --timeout NUMBER",
    "limit TEXT NUMBER --calls-per-second NUMBER --live-max NUMBER --weight NUMBER --by TEXT",
    "audit --last NUMBER",
    "why NUMBER",
    "preview NUMBER --call-s NUMBER",
    "purge --older-than-days NUMBER",
    "rollback TEXT",
    "recover --since MOMENT --dry-run",
    "roles --prefix ODD",
    "simulator --port TEXT",
    "simulator --speed TEXT",
    "TEXT TEXT TEXT",
    "--log-format TEXT status",
)
_NUMBERS = (
    "0",
    "-1",
    "1",
    "8",
    "1e3",
    "1e400",
    "nan",
    "inf",
    "-inf",
    "1000000",
    "9" * 19,
    "9" * 40,
    "0x10",
    "١٢",
    "1_0",
)
_PHONES = ("+15005550101", "0501234567", "+٩٧٢٥٠١٢٣٤٥٦٧", "112", "+1-900-555-0101", "", "+", "sip:x@example.com")
_URLS = (
    "https://example.com/v",
    "http://example.com/v",
    "https://u:p@ss@example.com",
    "javascript:x",
    "//",
    "https://[",
)
_MOMENTS = ("2026-11-30T09:00", "0001-01-01T00:00", "9999-12-31T23:59:59+14:00", "2026-02-30", "now", "infinity", "1e9")
_HOURS = ("mon-fri 09:00-17:00", "off", "mon 25:00-26:00", "sun-sun 00:00-24:00", "", "mon 09:00-09:00")
_TWIML = (
    *("<Response/>", "<!DOCTYPE x><Response/>", '<!DOCTYPE x [<!ENTITY a "b">]><Response>&a;</Response>'),
    *("<Response><Say>{{name}}</Say></Response>", "<Response><Dial>{{x}}</Dial></Response>", "<a" * 900, ""),
)


def run(seed: int, count: int) -> Result:
    """Run *count* commands."""
    chance = random.Random(seed)
    with place() as world:
        world.business()

        def one(result: Result) -> None:
            arguments = _arguments(chance)
            before = digest(world)
            said = command(*arguments)
            if odd(said):
                result.tracebacks += 1
                complain(f"commands: {arguments}: {said.exit_status} {said.text!r}")
            if said.exit_status == 2 and (tables := changed(before, digest(world))):
                result.state_changes += 1
                complain(f"commands: {arguments} was refused and changed {tables}: {said.text!r}")

        return attack("commands", count, one)


def _arguments(chance: random.Random) -> list[str]:
    fill: dict[str, Callable[[], str]] = {
        "TEXT": lambda: inside.text(chance),
        "ODD": lambda: chance.choice(("A b", "pg_x", "x'y", "")),
        "NUMBER": lambda: _or(chance, _NUMBERS),
        "PHONE": lambda: _or(chance, _PHONES),
        "URL": lambda: _or(chance, _URLS),
        "MOMENT": lambda: _or(chance, _MOMENTS),
        "HOURS": lambda: _or(chance, _HOURS),
        "TWIML": lambda: _or(chance, _TWIML),
    }
    words = chance.choice(_COMMANDS).split()
    return [fill[word]() if word in fill else word for word in words]


def _or(chance: random.Random, known: tuple[str, ...]) -> str:
    return inside.text(chance, 2) if chance.random() < 0.2 else chance.choice(known)
