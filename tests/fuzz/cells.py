"""Odd texts in every row that a list shows: nothing but visible characters reaches the terminal."""

import random

from tests.conftest import World
from tests.fuzz.inside import attack, command, complain, odd, place, stored
from tests.fuzz.result import Result

_SECRET = "hush"
_WRITE = (
    "update business set name = %s",
    "update retry_ladder set name = %s",
    "update calling_window set name = %s, note = name",
    "update campaign set name = %s",
    (
        "insert into audit (who, action, scope, key, details)"
        " select who, '', '', '', jsonb_build_object(who, who) from (select %s) as given (who)"
    ),
    "update suppression set reason = %s",
    "update consent set source = %s",
    "update dial_control set state = 'paused', state_reason = %s, state_since = now()",
)
_LISTS = (
    ("business", "list"),
    ("campaign", "list"),
    ("campaign", "show", "1"),
    ("retry-policy", "list"),
    ("window", "list"),
    ("window", "show", "1"),
    ("control",),
    ("audit",),
    ("suppress", "check", "+15005550101"),
    ("preview", "1"),
    ("why", "1"),
)


def run(seed: int, count: int) -> Result:
    """Write *count* odd texts into rows, and look at one list of each."""
    chance = random.Random(seed)
    with place() as world:
        _furnish(world)

        def one(result: Result) -> None:
            for write in _WRITE:
                world.do(write, stored(chance))
            arguments = [*chance.choice(_LISTS), *chance.choice([[], ["--json"]])]
            said = command(*arguments)
            if odd(said) or said.exit_status != 0:
                result.tracebacks += 1
                complain(f"cells: {arguments}: {said.exit_status} {said.text!r}")
            if f":{_SECRET}@" in said.text:
                result.believed += 1
                complain(f"cells: {arguments} shows a login: {said.text!r}")

        return attack("cells", count, one)


def _furnish(world: World) -> None:
    world.business()
    world.queued(1)
    world.do(
        "insert into retry_ladder (business_id, name, attempts_per_day_max, attempts_per_week_max) values (1,'',1,1)"
    )
    world.do("insert into calling_window (name, hours) values ('', '{[0,10080)}')")
    world.do("insert into campaign (business_id, name) values (1, '')")
    world.do("insert into audit (who, action, scope, key) values ('', 'x', 'account', '')")
    world.do("insert into suppression (phone) values ('+15005550101')")
    world.do("insert into consent (business_id, phone, given_at) values (1, '+15005550101', now())")
