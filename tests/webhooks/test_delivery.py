"""Events reach their endpoints: signed, in the order of their call, tried again, and never lost."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import dramatiq
import psycopg
import pytest
import standardwebhooks

from outbound import broker, db
from outbound.call import CallEvent
from outbound.calls import events, lead
from outbound.cli import webhook
from outbound.monitoring import metrics
from outbound.webhooks import address, delivery, endpoint, signature
from outbound.webhooks.http_client import Outcome
from tests.conftest import World, forget_settings, until
from tests.webhooks.receiver import Answer, Post, Receiver, receiving

pytestmark = pytest.mark.rows_only

KEY = "0123456789abcdef" * 2


@pytest.fixture
def receiver(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver that webhooks of this test may go to, and no worker but this process."""
    monkeypatch.setenv("OUTBOUND_WEBHOOK_KEY", KEY)
    monkeypatch.setenv("OUTBOUND_WEBHOOK_ALLOW", "127.0.0.0/8")
    forget_settings()
    monkeypatch.setattr(delivery.deliver_webhooks, "broker", broker.make(broker.IN_PROCESS))
    delivery.deliver_webhooks.broker.declare_actor(delivery.deliver_webhooks)
    world.worker()
    with receiving() as running:
        yield running
    delivery.close()


def ended(world: World, to: str = "+15005550101", sid: str = "CA" + "a" * 32) -> int:
    """A call that has ended, whose event an endpoint is to receive."""
    call_id = world.initiated(to=to)
    events.record(call_id, CallEvent(sid, "completed", "lookup"))
    return call_id


def send(world: World, receiver: Receiver) -> list[Post]:
    """Claim and send what is due, as a scheduler and a worker do; what came meanwhile."""
    before = len(receiver.posts)
    with db.connect() as connection:
        rows = db.transact(delivery.claim, connection)
    by_endpoint: dict[int, list[int]] = {}
    for row in rows:
        by_endpoint.setdefault(row.endpoint_id, []).append(row.event_id)
    for endpoint_id, event_ids in by_endpoint.items():
        delivery.deliver_webhooks(endpoint_id, *sorted(event_ids))
    delivery.finish(20)
    return receiver.posts[before:]


def begun(event_id: int) -> list[Any]:
    """A claimed delivery, taken by a worker that sends nothing."""
    return list(db.run(delivery.sql.begin_deliveries, endpoint_id=1, event_ids=[event_id], sending_s=45))


def rows(world: World) -> list[Any]:
    return world.rows("select * from webhook_delivery order by endpoint_id, event_id")


def age(world: World, seconds: float) -> None:
    """Let time pass for what waits, and for what holds an endpoint."""
    world.do("update webhook_delivery set due_at = due_at - make_interval(secs => %s)", seconds)
    world.do("update webhook_delivery set overdue_at = overdue_at - make_interval(secs => %s)", seconds)
    world.do(
        "update webhook_endpoint set hold_until = hold_until - make_interval(secs => %(s)s),"
        " failing_since = failing_since - make_interval(secs => %(s)s)".replace("%(s)s", str(float(seconds)))
    )


def test_an_event_is_posted_and_the_published_library_verifies_it(world: World, receiver: Receiver) -> None:
    made = endpoint.add(receiver.url, actor="test")
    call_id = ended(world)

    (post,) = send(world, receiver)

    told = standardwebhooks.Webhook(made.secret).verify(post.body, post.headers)
    assert (told["type"], told["id"], post.id) == ("call.ended", f"evt_call_ended_{call_id}", told["id"])
    assert (told["data"]["to"], told["data"]["status"]) == ("+15005550101", "completed")
    assert [row.state for row in rows(world)] == ["done"]


def test_another_endpoint_s_secret_verifies_nothing(world: World, receiver: Receiver) -> None:
    endpoint.add(receiver.url, actor="test")
    ended(world)
    (post,) = send(world, receiver)

    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(signature.secret(2, 1)).verify(post.body, post.headers)


def test_for_a_day_after_a_rotation_both_secrets_verify(world: World, receiver: Receiver) -> None:
    first = endpoint.add(receiver.url, actor="test")
    second = endpoint.rotate(first.id, actor="test")
    ended(world)
    (post,) = send(world, receiver)
    for known in (first, second):
        standardwebhooks.Webhook(known.secret).verify(post.body, post.headers)

    world.do("update webhook_endpoint set rotated_at = rotated_at - interval '25 hours'")
    ended(world, "+15005550102", "CA" + "b" * 32)
    (post,) = send(world, receiver)
    standardwebhooks.Webhook(second.secret).verify(post.body, post.headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(first.secret).verify(post.body, post.headers)


def test_a_thin_endpoint_is_told_no_number(world: World, receiver: Receiver) -> None:
    endpoint.add(receiver.url, payload="thin", actor="test")
    ended(world)
    (post,) = send(world, receiver)

    assert b"5005550" not in post.body


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503, 301, 0])
def test_what_fails_waits_and_is_tried_again_under_the_same_id(world: World, receiver: Receiver, status: int) -> None:
    endpoint.add(receiver.url, actor="test")
    receiver.answer = lambda _: Answer(status, {"location": "http://127.0.0.1:1/"} if status == 301 else {})
    ended(world)
    (first,) = send(world, receiver)

    (row,) = rows(world)
    assert (row.state, row.attempts, row.status_code) == ("due", 1, status or None)
    assert row.error
    assert send(world, receiver) == []
    receiver.answer = lambda _: Answer()
    age(world, 10)
    (second,) = send(world, receiver)
    assert second.id == first.id
    assert [(row.state, row.attempts) for row in rows(world)] == [("done", 2)]


def test_after_ten_attempts_over_three_days_it_is_given_up_and_may_be_replayed(
    world: World, receiver: Receiver
) -> None:
    made = endpoint.add(receiver.url, actor="test")
    receiver.answer = lambda _: Answer(500)
    call_id = ended(world)
    waited_s = 0.0
    for _ in range(9):
        send(world, receiver)
        waited_s += world.value("select extract(epoch from max(due_at) - now())::float8 from webhook_delivery")
        age(world, 30 * 3600)
    send(world, receiver)

    assert [(row.state, row.attempts) for row in rows(world)] == [("given_up", 10)]
    assert 0.8 * 75.6 * 3600 < waited_s < 1.2 * 75.6 * 3600
    receiver.answer = lambda _: Answer()
    assert endpoint.replay(made.id, given_up_only=True, actor="test") == 1
    world.do("update webhook_endpoint set hold_until = null")
    (post,) = send(world, receiver)
    assert (post.id, json.loads(post.body)["replayed"]) == (f"evt_call_ended_{call_id}", True)


def test_retry_after_is_waited_for(world: World, receiver: Receiver) -> None:
    endpoint.add(receiver.url, actor="test")
    receiver.answer = lambda _: Answer(503, {"retry-after": "3600"})
    ended(world)
    send(world, receiver)

    assert 3500 < world.value("select extract(epoch from due_at - now())::int from webhook_delivery") <= 3600


def test_the_events_of_a_call_go_out_one_after_the_other(world: World, receiver: Receiver) -> None:
    endpoint.add(receiver.url, actor="test")
    call_id = ended(world)
    lead.create_lead_from_call_job("CA" + "a" * 32)
    receiver.answer = lambda _: Answer(500)

    assert [post.id for post in send(world, receiver)] == [f"evt_call_ended_{call_id}"]
    assert send(world, receiver) == []  # the lead waits for the end
    receiver.answer = lambda _: Answer()
    age(world, 10)
    assert [post.id for post in send(world, receiver)] == [f"evt_call_ended_{call_id}"]
    assert [post.id for post in send(world, receiver)] == [f"evt_lead_created_{call_id}"]


def test_an_endpoint_that_fails_is_held_and_costs_others_nothing(world: World, receiver: Receiver) -> None:
    endpoint.add(receiver.url + "/dead", actor="test")
    endpoint.add(receiver.url + "/well", actor="test")
    for place in range(delivery.FAILURES_IN_A_ROW + 3):
        ended(world, f"+1500555{1000 + place}", f"CA{place:032x}")
    dead = {1}
    receiver.answer = lambda post: Answer(500 if "dead" in post.path else 204)

    assert len(send(world, receiver)) == 2 * (delivery.FAILURES_IN_A_ROW + 3)
    world.do("update webhook_delivery set due_at = now() where state = 'due'")
    assert send(world, receiver) == []  # held
    age(world, 6 * 2**3)
    assert len(send(world, receiver)) == 1  # one tries whether it is back
    assert {row.endpoint_id for row in rows(world) if row.state != "done"} == dead
    receiver.answer = lambda _: Answer()
    world.do("update webhook_endpoint set hold_until = now() - interval '1 s'")
    world.do("update webhook_delivery set due_at = now() where state = 'due'")
    assert len(send(world, receiver)) == 1
    assert len(send(world, receiver)) == delivery.FAILURES_IN_A_ROW + 2
    assert {row.state for row in rows(world)} == {"done"}


def test_an_endpoint_that_fails_says_why_however_much_waits_behind_what_was_tried(
    world: World, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    failing, well = (endpoint.add(receiver.url + path, actor="test").id for path in ("/dead", "/well"))
    receiver.answer = lambda post: Answer(500 if "dead" in post.path else 204)
    ended(world)
    send(world, receiver)
    world.do("update webhook_endpoint set hold_until = now() + interval '1 hour' where id = %s", failing)
    for place in range(25):
        ended(world, f"+1500555{1000 + place}", f"CA{place:032x}")
    world.do(
        "with event as (insert into event_log (public_id, type, data) select 'evt_' || n, 'call.ended', '{}'"
        " from generate_series(1, 1500) as n returning id)"
        " insert into webhook_delivery (endpoint_id, event_id, due_at)"
        " select %s, id, now() - interval '1 h' from event",
        failing,
    )

    webhook.list_()

    assert (endpoint.one(failing).last_error, endpoint.one(well).last_error) == ("500", None)
    assert "1 times in a row: 500" in " ".join(capsys.readouterr().out.split())


def test_an_endpoint_that_is_gone_is_switched_off_and_the_others_are_told(world: World, receiver: Receiver) -> None:
    whose = world.business()
    gone = endpoint.add(receiver.url + "/gone", business_id=whose, actor="test")
    endpoint.add(receiver.url + "/well", business_id=whose, event_types=["endpoint.disabled"], actor="test")
    receiver.answer = lambda post: Answer(410 if "gone" in post.path else 204)
    call_id = world.initiated(whose)
    events.record(call_id, CallEvent("CA" + "a" * 32, "completed", "lookup"))
    send(world, receiver)

    (post,) = send(world, receiver)
    told = json.loads(post.body)
    assert (told["type"], told["data"]["endpoint_id"]) == ("endpoint.disabled", gone.id)
    assert endpoint.one(gone.id).state == "off"
    receiver.answer = lambda _: Answer()
    endpoint.set_(gone.id, state="on", actor="test")
    assert [post.id for post in send(world, receiver)] == [f"evt_call_ended_{call_id}"]


def test_five_days_without_a_success_switch_an_endpoint_off(world: World, receiver: Receiver) -> None:
    made = endpoint.add(receiver.url, actor="test")
    receiver.answer = lambda _: Answer(500)
    ended(world)
    send(world, receiver)
    world.do("update webhook_endpoint set failures = 30, failing_since = now() - interval '4 days'")
    age(world, 400)
    world.do("update webhook_endpoint set hold_until = null")
    send(world, receiver)
    assert endpoint.one(made.id).state == "on"

    world.do("update webhook_endpoint set failing_since = now() - interval '121 hours', hold_until = null")
    world.do("update webhook_delivery set due_at = now()")
    send(world, receiver)
    assert endpoint.one(made.id).state == "off"
    assert "No attempt succeeded since" in endpoint.one(made.id).state_reason
    assert off_by_failures() == 1


def off_by_failures() -> float:
    (row,) = [row for row in db.run(metrics.sql.read_webhooks) if row.name == "webhook_endpoints_off"]
    return float(row.value)


def test_an_endpoint_that_an_operator_switches_off_raises_no_alert(world: World, receiver: Receiver) -> None:
    """Neither one that was well, nor one whose failures switched it off; what was on its way changes nothing."""
    made = endpoint.add(receiver.url, actor="test")
    receiver.answer = lambda _: Answer(410)
    ended(world)
    with db.connect() as connection:
        (claimed,) = db.transact(delivery.claim, connection)
    (sent,) = begun(claimed.event_id)
    endpoint.set_(made.id, state="off", actor="test")
    delivery.record([(sent, Outcome("gone", 410, "410", 1))])
    assert "as the audit says" in endpoint.one(made.id).state_reason
    assert off_by_failures() == 0

    endpoint.set_(made.id, state="on", actor="test")
    send(world, receiver)
    assert off_by_failures() == 1
    endpoint.set_(made.id, state="off", actor="test")
    assert off_by_failures() == 0


def test_what_a_dead_worker_took_is_sent_again_under_the_same_id(world: World, receiver: Receiver) -> None:
    endpoint.add(receiver.url, actor="test")
    call_id = ended(world)
    with db.connect() as connection:
        assert len(db.transact(delivery.claim, connection)) == 1
    assert delivery.return_overdue_deliveries() == 0
    age(world, delivery.SENDING_S + 1)

    assert delivery.return_overdue_deliveries() == 1
    assert [post.id for post in send(world, receiver)] == [f"evt_call_ended_{call_id}"]


def test_while_no_worker_is_alive_no_attempt_is_counted_and_the_delay_shows(world: World, receiver: Receiver) -> None:
    endpoint.add(receiver.url, actor="test")
    ended(world)
    world.do("update worker set seen_at = now() - interval '1 min'")
    age(world, 600)

    assert send(world, receiver) == []
    assert [row.attempts for row in rows(world)] == [0]
    world.worker()
    with db.connect() as connection:
        assert len(db.transact(delivery.claim, connection)) == 1
    age(world, delivery.SENDING_S + 1)
    delivery.return_overdue_deliveries()
    assert world.value("select now() - due_at > interval '10 min' from webhook_delivery")


def test_a_word_of_a_worker_that_was_taken_for_dead_is_not_written(world: World, receiver: Receiver) -> None:
    endpoint.add(receiver.url, actor="test")
    ended(world)
    with db.connect() as connection:
        (claimed,) = db.transact(delivery.claim, connection)
    (stale,) = begun(claimed.event_id)
    age(world, delivery.SENDING_S + 1)
    delivery.return_overdue_deliveries()
    with db.connect() as connection:
        db.transact(delivery.claim, connection)
    begun(claimed.event_id)

    delivery.record([(stale, Outcome("failed", 500, "500", 1))])

    (row,) = rows(world)
    assert (row.state, row.attempts) == ("sending", 2)


def test_nudges_reach_a_worker_and_a_broker_that_is_away_costs_no_attempt(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.add(receiver.url, actor="test")
    ended(world)
    monkeypatch.setattr(delivery.deliver_webhooks, "broker", broker.make("redis://127.0.0.1:1"))
    assert delivery.claim_once() == 0
    assert [(row.state, row.attempts) for row in rows(world)] == [("due", 0)]


def test_a_text_of_the_answer_is_kept_and_nothing_else_of_it(world: World, receiver: Receiver) -> None:
    endpoint.add(receiver.url, actor="test")
    receiver.answer = lambda _: Answer(500, {"content-type": "text/plain"}, b"wrong\x1b[31m secret" + b"x" * 5000)
    ended(world)
    send(world, receiver)
    (row,) = rows(world)
    assert row.error.startswith("500: wrong\\x1b[31m secret")
    assert len(row.error) <= 300

    receiver.answer = lambda _: Answer(500, {"content-type": "application/json"}, b'{"token": "x"}')
    age(world, 10)
    send(world, receiver)
    (row,) = rows(world)
    assert row.error == "500"


def test_without_the_key_nothing_is_sent_and_nothing_is_lost(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.add(receiver.url, actor="test")
    ended(world)
    monkeypatch.delenv("OUTBOUND_WEBHOOK_KEY")
    forget_settings()

    assert send(world, receiver) == []
    (row,) = rows(world)
    assert (row.state, row.attempts) == ("due", 0)
    assert "OUTBOUND_WEBHOOK_KEY" in row.error


def test_a_ping_is_delivered_whatever_types_the_endpoint_wants(world: World, receiver: Receiver) -> None:
    made = endpoint.add(receiver.url, event_types=["lead.created"], actor="test")

    public_id = endpoint.ping(made.id)

    assert [post.id for post in send(world, receiver)] == [public_id]


def test_a_scheduler_and_a_worker_deliver_within_a_moment(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop of the scheduler, woken by the event, and a worker of this process."""
    monkeypatch.setattr(delivery, "_IDLE_S", 0.5)  # so long it takes to stop
    endpoint.add(receiver.url, actor="test")
    stop = threading.Event()
    worker = dramatiq.Worker(delivery.deliver_webhooks.broker, worker_threads=1)
    worker.start()
    scheduler = threading.Thread(target=delivery.deliver_until, args=(stop,))
    scheduler.start()
    try:
        began = time.monotonic()
        call_ids = [ended(world, f"+1500555{1000 + place}", f"CA{place:032x}") for place in range(40)]
        until(lambda: all(row.state == "done" for row in rows(world)) and len(receiver.posts) == 40)
        assert sorted(receiver.ids) == sorted(f"evt_call_ended_{call_id}" for call_id in call_ids)
        assert time.monotonic() - began < 20
    finally:
        stop.set()
        scheduler.join()
        worker.stop()


def test_the_scheduler_knows_when_the_next_delivery_is_due(world: World, receiver: Receiver) -> None:
    def next_due_s() -> float:
        return float(db.run(delivery.sql.next_due_s, at_most_s=50))

    assert next_due_s() == 50, "no endpoint"
    endpoint.add(receiver.url, actor="test")
    assert next_due_s() == 50, "nothing waits"
    ended(world)
    ended(world, "+15005550102", "CA" + "b" * 32)
    assert next_due_s() == 0
    world.do("update webhook_delivery set due_at = now() + event_id * interval '20 s'")
    assert 10 < next_due_s() <= 20
    world.do("update webhook_endpoint set hold_until = now() + interval '30 s'")
    assert 20 < next_due_s() <= 30
    world.do("update webhook_endpoint set hold_until = now() + interval '30 min'")
    assert next_due_s() == 50
    world.do("update webhook_endpoint set hold_until = null, state = 'off'")
    assert next_due_s() == 50


def test_what_is_tried_again_goes_out_when_it_is_due_without_a_notice(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTBOUND_POLL_S", "600")
    monkeypatch.setattr(delivery, "_IDLE_S", 0.5)
    forget_settings()
    endpoint.add(receiver.url, actor="test")
    ended(world)
    stop = threading.Event()
    worker = dramatiq.Worker(delivery.deliver_webhooks.broker, worker_threads=1)
    world.do("update webhook_delivery set due_at = now() + interval '0.3 s'")
    scheduler = threading.Thread(target=delivery.deliver_until, args=(stop,))
    worker.start()
    scheduler.start()
    try:
        until(lambda: [row.state for row in rows(world)] == ["done"])
    finally:
        stop.set()
        scheduler.join()
        worker.stop()


def test_the_end_of_an_attempt_wakes_the_scheduler_for_the_next_one(world: World, receiver: Receiver) -> None:
    """Else an endpoint gets its 32 once per poll_s, however quick it is."""
    endpoint.add(receiver.url, actor="test")
    ended(world)
    with db.connect() as connection:
        db.listen(connection, "outbound_delivery")

        assert len(send(world, receiver)) == 1

        assert db.wait_for_notice(connection, 10)


def test_what_no_worker_took_in_time_is_no_attempt_and_is_never_given_up(world: World, receiver: Receiver) -> None:
    endpoint.add(receiver.url, actor="test")
    ended(world)
    for _ in range(12):
        with db.connect() as connection:
            assert len(db.transact(delivery.claim, connection)) == 1
        age(world, delivery.SENDING_S + 1)
        assert delivery.return_overdue_deliveries() == 1

    assert [(row.state, row.attempts) for row in rows(world)] == [("due", 0)]
    assert len(send(world, receiver)) == 1


def test_a_message_that_comes_twice_is_posted_once(world: World, receiver: Receiver) -> None:
    endpoint.add(receiver.url, actor="test")
    ended(world)
    with db.connect() as connection:
        (claimed,) = db.transact(delivery.claim, connection)
    for _ in range(2):
        delivery.deliver_webhooks(1, claimed.event_id)
    delivery.finish(20)

    assert len(receiver.posts) == 1


def test_writers_of_events_and_of_outcomes_do_not_wait_for_each_other(world: World, receiver: Receiver) -> None:
    """A delivery that is being written refers to its endpoint; an outcome changes that endpoint."""
    endpoint.add(receiver.url, actor="test")
    call_id = ended(world)
    with db.connect() as connection:
        (claimed,) = db.transact(delivery.claim, connection)
    (row,) = begun(claimed.event_id)
    with psycopg.connect(world.url) as writing:
        writing.execute("select write_event(1, 'call.ended', 'evt_other', null, '{}')")
        world.do("alter database " + world.value("select quote_ident(current_database())") + " set lock_timeout = '2s'")
        db.close()
        delivery.record([(row, Outcome("delivered", 204, None, 1))])
        assert world.value("select state from webhook_delivery where event_id = %s", claimed.event_id) == "done"
    assert call_id


def test_an_event_behind_one_that_waits_for_its_next_attempt_is_not_due_before(
    world: World, receiver: Receiver
) -> None:
    endpoint.add(receiver.url, actor="test")
    receiver.answer = lambda _: Answer(500)
    ended(world)
    send(world, receiver)
    lead.create_lead_from_call_job("CA" + "a" * 32)

    assert world.value("select count(*) from webhook_delivery where due_at <= now()") == 0


def test_a_second_rotation_within_a_day_is_refused(world: World, receiver: Receiver) -> None:
    made = endpoint.add(receiver.url, actor="test")
    endpoint.rotate(made.id, actor="test")
    with pytest.raises(endpoint.BadEndpoint, match="within the last 24 hours"):
        endpoint.rotate(made.id, actor="test")


def test_a_tenant_s_endpoint_leads_to_no_network_of_ours(world: World, receiver: Receiver) -> None:
    with pytest.raises(endpoint.BadEndpoint):
        endpoint.add(receiver.url, is_operators=False, actor="token x")
    endpoint.add(receiver.url, actor="test")
    world.do("update webhook_endpoint set own_networks = false")
    ended(world)

    assert send(world, receiver) == []
    (row,) = rows(world)
    assert row.error == address.REFUSED


def test_replay_goes_on_past_one_batch(world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "REPLAY_BATCH", 2)
    made = endpoint.add(receiver.url, actor="test")
    for place in range(5):
        ended(world, f"+1500555{1000 + place}", f"CA{place:032x}")
    send(world, receiver)

    assert endpoint.replay(made.id, event_types=["call.ended"], actor="test") == 5


def test_what_no_endpoint_has_is_replayed_to_none(world: World, receiver: Receiver) -> None:
    made, other = (endpoint.add(receiver.url, event_types=[kind], actor="test") for kind in ("call.ended", "ping"))
    known = f"evt_call_ended_{ended(world)}"
    send(world, receiver)

    for endpoint_id, ids, unknown in ((made.id, [known, "evt_\u202e"], r"evt_\\u202e"), (other.id, [known], known)):
        with pytest.raises(endpoint.BadEndpoint, match=f"this endpoint has no event {unknown}: "):
            endpoint.replay(endpoint_id, event_ids=ids, actor="test")
    with pytest.raises(endpoint.NoSuchEndpoint):
        endpoint.replay(812, event_ids=["evt_1"], actor="test")

    assert [row.state for row in rows(world)] == ["done"]
    assert world.value("select count(*) from audit where action = 'webhook.replay'") == 0
    assert endpoint.replay(made.id, event_ids=[known], actor="test") == 1


def test_an_endpoint_is_removed_in_parts_and_a_removal_that_was_stopped_goes_on(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint_id = endpoint.add(receiver.url, actor="test").id
    for place in range(5):
        ended(world, f"+1500555010{place}", f"CA{place:032d}")
    monkeypatch.setattr(endpoint, "_REMOVED_AT_ONCE", 2)
    assert db.run(endpoint.sql.begin_removal, endpoint_id=endpoint_id, business_id=None)
    assert db.run(endpoint.sql.remove_deliveries, endpoint_id=endpoint_id, batch_max=2) == (2, 2)
    ended(world, "+15005550109", "CA" + "9" * 32)  # events of an endpoint that is off wait
    assert world.value("select state from webhook_endpoint") == "off"

    assert endpoint.remove(endpoint_id, actor="test") == {"id": endpoint_id, "waiting": 4}
    assert rows(world) == []
