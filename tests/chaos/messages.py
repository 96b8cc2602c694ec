"""Nudges that were never asked for, put straight into the broker: repeated ones, and ones that mean nothing."""

import json
import time
from typing import Any

from tests.chaos.cluster import Cluster

_TIMES = 10
_CALLS = 20


def repeat(cluster: Cluster) -> None:
    """Nudge random calls ten times each, to be dialed and to become a lead, whatever has become of them."""
    from outbound import broker
    from outbound.calls import dial, lead

    calls = cluster.ask("select id, call_sid from call_log order by random() limit %s", _CALLS)
    direct = broker.make(cluster.broker.url)
    try:
        for call in calls * _TIMES:
            direct.enqueue(_for(direct, dial.dial_call.message(call.id)))
            if call.call_sid:
                direct.enqueue(_for(direct, lead.create_lead_from_call_job.message(call.call_sid)))
    finally:
        direct.close()


def _for(direct: Any, message: Any) -> Any:
    direct.declare_queue(message.queue_name)
    return message


def poison(cluster: Cluster) -> None:
    """An unknown actor, arguments of wrong types, none and too many, a call_sid of nobody, and what is no message."""
    for queue, actor, args in (
        ("dial", "no_such_actor", [1]),
        ("dial", "dial_call", ["not a number"]),
        ("dial", "dial_call", [[1, 2], {"a": 3}]),
        ("dial", "dial_call", []),
        ("dial", "dial_call", [2**80]),
        ("dial", "dial_call", [-1]),
        ("default", "create_lead_from_call_job", [17]),
        ("default", "create_lead_from_call_job", ["CA-of-nobody", "and", "more"]),
        ("default", "no_such_actor", []),
    ):
        _push(cluster, queue, _message(queue, actor, args))
    for queue in ("dial", "default"):
        _push(cluster, queue, b"\xff\xfe\x00 not a message")
        _push(cluster, queue, b'{"json": "and not a message"}')


def _message(queue: str, actor: str, args: list[Any]) -> bytes:
    message_id = f"chaos-{time.time_ns()}"
    message = {
        "queue_name": queue,
        "actor_name": actor,
        "args": args,
        "kwargs": {},
        "options": {"redis_message_id": message_id},
        "message_id": message_id,
        "message_timestamp": int(time.time() * 1000),
    }
    return json.dumps(message).encode()


def _push(cluster: Cluster, queue: str, content: bytes) -> None:
    """As Dramatiq itself does it: the content under its id, the id into the list."""
    try:
        message_id = json.loads(content)["message_id"]
    except (ValueError, KeyError):
        message_id = f"chaos-{time.time_ns()}"
    name = f"{cluster.settings.broker_namespace}:{queue}"
    with cluster.redis() as line:
        line.hset(f"{name}.msgs", message_id, content)
        line.rpush(name, message_id)
