"""Calls that several requests ask for at the same moment: one transaction for all, and nobody suffers for another."""

import asyncio
import re
from typing import Any

import psycopg
import pytest
from pydantic import TypeAdapter

from outbound import db
from outbound.api import models, new_calls
from outbound.api.context import Caller, Context
from outbound.api.problem import Problem
from outbound.calls.enqueue import EnqueuedCall
from tests.api.conftest import Client
from tests.conftest import World

pytestmark = pytest.mark.rows_only

BY, BY_OTHER = "token Shop (aaaaaaaa)", "token Bank (bbbbbbbb)"
Outcome = EnqueuedCall | BaseException


def context_of(business_id: int | None, *, name: str = "Shop (aaaaaaaa)", key: str | None = None) -> Context:
    """A request of a token."""
    public_id = name[-9:-1]
    caller = Caller(1, public_id, name.partition(" ")[0], business_id, frozenset({"calls:write"}), None)

    async def let_in() -> Caller:
        return caller

    return Context(caller, key, b"", TypeAdapter(Any), let_in)


def together(*requests: tuple[Context, dict[str, Any]]) -> list[Outcome]:
    """What these requests of one moment are answered: all wait before the first is written."""

    async def all_at_once() -> list[Outcome]:
        new_calls.begin()
        waiting = [new_calls.put(context, models.NewCall.model_validate(call)) for context, call in requests]
        return await asyncio.gather(*waiting, return_exceptions=True)

    return asyncio.run(all_at_once())


def number(last: int) -> str:
    return f"+12125550{last:03}"


def transactions(world: World) -> int:
    return int(world.value("select count(distinct created_at) from call_log"))


def test_calls_of_one_moment_are_one_transaction(world: World) -> None:
    shop = world.business("Shop")

    outcomes = together(*[(context_of(shop), {"to": number(place), "key": f"k{place}"}) for place in range(40)])

    assert [one.created for one in outcomes if isinstance(one, EnqueuedCall)] == [True] * 40
    keys = {row.id: row.idempotency_key for row in world.rows("select id, idempotency_key from call_log")}
    assert [keys[one.call_id] for one in outcomes if isinstance(one, EnqueuedCall)] == [f"k{n}" for n in range(40)]
    assert transactions(world) == 1


def test_who_is_refused_is_refused_alone(world: World) -> None:
    shop, bank = world.business("Shop"), world.business("Bank")
    campaign = world.value("insert into campaign (business_id, name) values (%s, 'Theirs') returning id", bank)
    own = world.value("select phone from business_number where business_id = %s limit 1", shop)

    good, unread, itself, another, theirs, nobodys, late = together(
        (context_of(shop), {"to": number(1)}),
        (context_of(shop), {"to": "abc"}),
        (context_of(shop), {"to": own}),
        (context_of(shop), {"to": number(2), "business_id": bank}),
        (context_of(shop), {"to": number(3), "campaign_id": campaign}),
        (context_of(None), {"to": number(4)}),
        (context_of(bank, name="Bank (bbbbbbbb)"), {"to": number(5), "campaign_id": campaign}),
    )

    assert isinstance(good, EnqueuedCall)
    assert isinstance(late, EnqueuedCall)
    for refused in (unread, itself, nobodys):
        assert isinstance(refused, Problem), refused
        assert (refused.status, refused.code) == (422, "bad_call")
    for hidden in (another, theirs):
        assert isinstance(hidden, Problem), hidden
        assert hidden.status == 404
    rows = world.rows("select business_id, to_number, created_by from call_log order by id")
    assert rows == [(shop, number(1), BY), (bank, number(5), BY_OTHER)]
    assert transactions(world) == 1


def test_one_key_twice_in_a_moment_is_one_call(world: World) -> None:
    shop, bank = world.business("Shop"), world.business("Bank")

    first, again, other_number, same_number, other_business = together(
        (context_of(shop), {"to": number(1), "key": "k"}),
        (context_of(shop, key="k"), {"to": number(1)}),
        (context_of(shop), {"to": number(2), "key": "k"}),
        (context_of(shop), {"to": number(1), "key": "other"}),
        (context_of(bank), {"to": number(1), "key": "k"}),
    )

    assert isinstance(first, EnqueuedCall)
    assert isinstance(again, EnqueuedCall)
    assert (first.created, again.created, again.call_id, again.has_key) == (True, False, first.call_id, True)
    assert isinstance(other_number, Problem)
    assert other_number.code == "key_of_another"
    assert isinstance(same_number, EnqueuedCall)
    assert (same_number.created, same_number.call_id, same_number.has_key) == (False, first.call_id, False)
    assert isinstance(other_business, EnqueuedCall)
    assert other_business.created
    assert world.value("select count(*) from call_log") == 2


def refuse(world: World, to: str, how: str) -> None:
    """Have the database break off where a call to this number is written."""
    world.do(
        "create function breaks() returns trigger language plpgsql as"
        f" $$begin if new.to_number = '{to}' then {how}; end if; return new; end$$"
    )
    world.do("create trigger breaks before insert on call_log for each row execute function breaks()")


def test_a_call_that_the_database_refuses_spoils_nobody_elses(world: World) -> None:
    shop = world.business("Shop")
    refuse(world, number(2), "raise 'odd'")

    outcomes = together(*[(context_of(shop), {"to": number(place)}) for place in range(5)])

    odd = outcomes.pop(2)
    assert isinstance(odd, db.Error)
    assert not isinstance(odd, db.Unavailable)
    assert [isinstance(one, EnqueuedCall) and one.created for one in outcomes] == [True] * 4
    assert world.value("select count(*) from call_log") == 4


def test_where_the_connection_is_lost_before_the_commit_nobody_is_told_that_a_call_was_made(world: World) -> None:
    shop = world.business("Shop")
    refuse(world, number(2), "perform pg_terminate_backend(pg_backend_pid())")

    outcomes = together(*[(context_of(shop), {"to": number(place)}) for place in range(5)])

    assert [isinstance(one, db.Unavailable) for one in outcomes] == [True] * 5
    assert world.value("select count(*) from call_log") == 0


def test_who_waits_for_a_transaction_of_somebody_else_holds_up_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = world.business("Shop")
    monkeypatch.setattr(new_calls, "WAIT_MS", 300)
    with psycopg.connect(world.url) as holder:
        holder.execute(
            "insert into call_log (business_id, from_number, to_number) values (%s, '+12125550999', %s)",
            [shop, number(2)],
        )
        outcomes = together(*[(context_of(shop), {"to": number(place)}) for place in range(5)])

    waits = outcomes.pop(2)
    assert isinstance(waits, Problem)
    assert (waits.status, waits.code, waits.headers) == (409, "in_progress", {"retry-after": "1"})
    assert [isinstance(one, EnqueuedCall) and one.created for one in outcomes] == [True] * 4


@pytest.mark.parametrize(
    ("bad", "where"),
    [
        ({"to": ""}, ["/to"]),
        ({"to": "12"}, ["/to"]),
        ({"to": 5, "contact": {"name": 0}}, ["/to", "/contact/name"]),
        ({"to": "+12125550102", "bo/gus": 1}, ["/bo~1gus"]),
        ({}, ["/to"]),
        (5, [""]),
        (None, [""]),
    ],
)
def test_a_call_of_many_that_does_not_fit_the_document_is_refused_by_itself(
    world: World, client: Client, bad: object, where: list[str]
) -> None:
    http = client(business_id=world.business("Acme", "+12125550100"))
    good = [{"to": "+12125550101"}, {"to": "+12125550103"}]

    answer = http.post("/calls/bulk", json={"calls": [good[0], bad, good[1], {"to": "abc"}]})

    assert answer.status_code == 200
    assert [one is not None for one in answer.json()["calls"]] == [True, False, True, False]
    refused, other = answer.json()["refused"]
    assert (refused["place"], refused["code"], other["code"]) == (1, "invalid", "bad_call")
    assert refused["detail"].startswith("these do not fit the document: ")
    assert re.findall(r"/calls/1(\S*) \([^()]{10,}\)", refused["detail"]) == where
    assert world.value("select count(*) from call_log") == 2
