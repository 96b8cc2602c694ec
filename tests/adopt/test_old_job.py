"""One job of the old system's RQ: every shape is read, nothing that wants more than plain data is."""

import json
import os
import pickle
import tracemalloc
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outbound.adopt import old_job
from outbound.adopt.old_job import LEAD, read_job


def sid(number: int) -> str:
    return f"CA{number:032x}"


# Every way in which the old code has called its lead job, and some in which it might have.
SHAPES: list[Callable[[str], tuple[tuple[Any, ...], dict[str, Any]]]] = [
    lambda s: ((s,), {}),
    lambda s: ((), {"call_sid": s}),
    lambda s: ((s, "+972501234567", "+97231234567", 7, "inbound"), {}),
    lambda s: ((), {"from_number": "+972501234567", "to_number": None, "business_id": 7, "call_sid": s}),
    lambda s: ((7, s), {"direction": "outbound", "again": s}),
    lambda s: (([s, 1.5, True],), {"more": {"of": ("it", b"bytes", {1, 2})}}),
]


class Bomb:
    """What the default of RQ would run as soon as it looks at it."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self._mark}'",)


def packed(*work: Any, protocol: int = 5) -> bytes:
    return zlib.compress(pickle.dumps(work, protocol))


def nested(depth: int, width: int = 1) -> list[Any]:
    found: list[Any] = ["x"]
    for _ in range(depth):
        found = [found] * width
    return found


def itself() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


HOSTILE: dict[str, tuple[bytes, str]] = {
    "a class as an argument": (packed(LEAD, None, (datetime(2026, 1, 1, tzinfo=UTC),), {}), "code"),
    "a function of the instance": (packed(LEAD, print, (), {}), "code"),
    "an object by INST": (b"(ios\nsystem\n.", "code"),
    "an object by GLOBAL, protocol 0": (b"cos\nsystem\n(S'true'\ntR.", "code"),
    "an extension code": (b"\x80\x02\x82\x01.", "code"),
    "a persistent id": (b"Pabc\n.", "code"),
    "a buffer from elsewhere": (b"\x80\x05\x97.", "code"),
    "a bytearray of 2**62 bytes": (b"\x80\x05\x96" + (2**62).to_bytes(8, "little") + b".", "garbage"),
    "bytes of 2**62": (b"\x80\x05\x8e" + (2**62).to_bytes(8, "little") + b"x.", "garbage"),
    "text of 2**62": (b"\x80\x05\x8d" + (2**62).to_bytes(8, "little") + b"x.", "garbage"),
    "a frame of 2**62": (b"\x80\x05\x95" + (2**62).to_bytes(8, "little") + b".", "garbage"),
    "a memo of 2**31": (b"\x80\x04]r\xff\xff\xff\x7f.", "garbage"),
    "a memo of 10**11 in text": (b"]p99999999999\n.", "garbage"),
    "an integer of 70 bits": (packed(LEAD, None, (2**70,), {}), "number"),
    "an integer of 900,000 digits": (b"L" + b"9" * 900_000 + b"L\n.", "garbage"),
    "an integer of 70 bits in JSON": (json.dumps([LEAD, None, [2**70], {}]).encode(), "number"),
    "33 lists in each other": (packed(LEAD, None, (nested(33),), {}), "deep"),
    "900,000 lists in each other": (b"]" * 900_000 + b"." * 3, "long"),
    "900,000 lists in each other, as JSON": (b"[" * 900_000, "deep"),
    "a list in itself": (packed(LEAD, None, (itself(),), {}), "deep"),
    "10**20 values out of 200": (packed(LEAD, None, (nested(20, width=10),), {}), "long"),
    "6,000 arguments": (packed(LEAD, None, tuple(range(6_000)), {}), "long"),
    "6,000 arguments in JSON": (json.dumps([LEAD, None, list(range(6_000)), {}]).encode(), "long"),
    "50 MB out of 50 kB": (zlib.compress(b"\0" * 50_000_000), "large"),
    "2 MB, not compressed": (b"x" * 2_000_000, "large"),
    "a stream that breaks off": (packed(LEAD, None, (sid(1),), {})[:-8], "garbage"),
    "nothing": (b"", "garbage"),
    "noise": (bytes(range(256)), "garbage"),
    "JSON that breaks off": (b'["a", null, [', "garbage"),
    "stack underflow": (b"\x80\x04t.", "garbage"),
    "a method of an object": (packed("upper", "text", (), {}), "method"),
    "a text": (zlib.compress(pickle.dumps("hello")), "shape"),
    "three values": (packed(LEAD, None, ()), "shape"),
    "a number as the function": (packed(5, None, (), {}), "shape"),
    "a phone number as the function": (packed("+972501234567", None, (), {}), "shape"),
    "arguments that are text": (packed(LEAD, None, "args", {}), "shape"),
    "names that are numbers": (packed(LEAD, None, (), {1: 2}), "shape"),
}


@pytest.mark.parametrize("shape", range(len(SHAPES)))
@pytest.mark.parametrize("protocol", range(6))
def test_a_lead_job_of_every_shape_gives_its_call_sid(shape: int, protocol: int) -> None:
    args, kwargs = SHAPES[shape](sid(5))
    if protocol < 4:  # there, sets and bytes were functions' results
        kwargs.pop("more", None)
    plain = pickle.dumps((LEAD, None, args, kwargs), protocol)

    found = [read_job(plain), read_job(zlib.compress(plain))]
    if shape != 5:
        as_json = json.dumps([LEAD, None, args, kwargs]).encode()
        found += [read_job(as_json), read_job(zlib.compress(as_json))]

    assert {(job.function, job.kind, job.call_sids) for job in found} == {(LEAD, "lead", (sid(5),))}
    assert found[0].kwargs == kwargs
    assert "972501234567" not in repr(found)


def test_lead_jobs_of_no_call_and_of_several_are_told_apart() -> None:
    assert read_job(packed(LEAD, None, ("+972501234567", 7), {})).kind == "lead of no call"
    assert read_job(packed(LEAD, None, ("CA12", sid(1) + "0"), {})).kind == "lead of no call"
    several = read_job(packed(LEAD, None, (sid(2), sid(1)), {"parent": sid(2)}))
    assert (several.kind, several.call_sids) == ("lead of several calls", (sid(2), sid(1)))


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_not_plain_data_within_bounds_is_refused_by_a_code(name: str) -> None:
    data, code = HOSTILE[name]
    tracemalloc.start()
    try:
        job = read_job(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (job.refusal, job.kind) == (code, "unreadable")
    assert code in old_job.REFUSALS
    assert peak < 60_000_000
    assert "972" not in str(job)


def test_a_bomb_is_read_and_does_not_go_off(tmp_path: Path) -> None:
    bomb = Bomb(tmp_path / "run")

    found = [read_job(packed(*work)) for work in [(LEAD, None, (bomb,), {}), (bomb, None, (), {}), (bomb,)]]
    found.append(read_job(pickle.dumps(bomb, 0)))

    assert {job.refusal for job in found} == {"code"}
    assert [job.function for job in found] == [LEAD, None, None, None]
    assert not (tmp_path / "run").exists()


@settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_read_or_refused(data: bytes, zipped: bool) -> None:
    job = read_job(zlib.compress(data) if zipped else data)

    assert (job.refusal is None) == (job.kind != "unreadable")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inside: st.lists(inside) | st.tuples(inside) | st.dictionaries(st.text(), inside),
    max_leaves=20,
)


@settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50)
@given(st.lists(PLAIN, max_size=5), st.dictionaries(st.text(), PLAIN, max_size=5), st.sampled_from([4, 5]))
def test_plain_data_is_read_as_it_was_written(args: list[Any], kwargs: dict[str, Any], protocol: int) -> None:
    job = read_job(packed("a.b", None, tuple(args), kwargs, protocol=protocol))

    assert (job.args, job.kwargs) == (tuple(args), kwargs)
