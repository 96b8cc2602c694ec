"""
One job of the old system's RQ, read without running anything in it.

RQ keeps a job's work as zlib(pickle((function, instance, args, kwargs))); older versions do not compress, and a system
may have chosen JSON.  Loading a pickle as RQ does runs whatever it asks for (github.com/rq/rq/issues/2389).  Here the
opcodes are looked at first, and only those that make plain data are let through, within bounds.
"""

import io
import json
import pickle
import pickletools
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

INFLATED_BYTES_MAX = 1_000_000  # a lead job has some hundred bytes
OPCODES_MAX = 5_000  # a lead job has about 50; thousands of keys of one hash would take seconds to load
VALUES_MAX = 5_000  # a value that lies in several places counts in each of them
DEPTH_MAX = 32
INTEGER_BITS_MAX = 64

Kind = Literal["lead", "lead of no call", "lead of several calls", "nudge", "other", "unreadable"]

LEAD = "server.jobs.twilio_call_jobs.create_lead_from_call_job"
# They dial what the tables say, so that they have nothing left to do once the rows are adopted.
NUDGES = frozenset(
    {
        "server.routes_outbound.process_next_queued_job",
        "server.routes_outbound.process_bulk_call_run",
        "server.routes_outbound.fill_queue_slots_for_job",
        "server.jobs.enqueue_outbound_calls_job.enqueue_outbound_calls_batch_job",
        "server.jobs.enqueue_outbound_calls_batch_job",  # the package gives it under its own name too
    }
)
REFUSALS = {
    "large": f"it inflates to more than {INFLATED_BYTES_MAX:,} bytes",
    "long": f"it holds more than {VALUES_MAX:,} values",
    "deep": f"it is nested more than {DEPTH_MAX} levels deep, or holds itself",
    "number": f"it holds an integer of more than {INTEGER_BITS_MAX} bits",
    "code": "it asks for a class or a function, which is not loaded",
    "garbage": "it is neither a pickle nor JSON",
    "shape": "it is plain data, and not what RQ writes",
    "method": "it is a method of an object",
    "no hash": "its key does not hold a hash",
    "no data": "its hash does not say what to do",
}

_CALL_SID = re.compile(r"CA[0-9a-fA-F]{32}")
_FUNCTION = re.compile(r"[A-Za-z_]\w{0,99}(\.[A-Za-z_]\w{0,99}){0,9}", re.ASCII)
_PLAIN_OPCODES = """
    PROTO FRAME STOP MARK MEMOIZE PUT BINPUT LONG_BINPUT GET BINGET LONG_BINGET
    NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT
    STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8
    BINBYTES SHORT_BINBYTES BINBYTES8 EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3
    EMPTY_LIST LIST APPEND APPENDS EMPTY_DICT DICT SETITEM SETITEMS EMPTY_SET ADDITEMS FROZENSET
"""
_PLAIN = frozenset(_PLAIN_OPCODES.split())
_TEXTS = frozenset({"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING"})
_MEMO = frozenset({"MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"})
_PLACES = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "FRAME"})  # the loader allocates what these ask for


class Refused(ValueError):
    """The payload is not read; `code` is a key of REFUSALS, `function` its function's name where it could be read."""

    def __init__(self, code: str, function: str | None = None) -> None:
        super().__init__(REFUSALS[code])
        self.code = code
        self.function = function


@dataclass(frozen=True)
class OldJob:
    """
    The work that one job of RQ would do.

    Attributes:
        function: its dotted name; None where it could not be read.
        args, kwargs: plain data: None, booleans, numbers, text, bytes, lists, tuples, dicts and sets.  They hold phone
            numbers and names: never for a log line.
        refusal: why its arguments were not read, a key of REFUSALS; None where they were.
    """

    function: str | None
    args: tuple[Any, ...] = field(default=(), repr=False)
    kwargs: dict[str, Any] = field(default_factory=dict, repr=False)
    refusal: str | None = None

    @property
    def call_sids(self) -> tuple[str, ...]:
        """The different call_sids among its arguments, by position and then by name, in order."""
        found = (value for value in _values([self.args, self.kwargs]) if isinstance(value, (str, bytes)))
        texts = (text.decode("latin-1") if isinstance(text, bytes) else text for text in found)
        return tuple(dict.fromkeys(text for text in texts if _CALL_SID.fullmatch(text)))

    @property
    def kind(self) -> Kind:
        """Return what is to become of it."""
        if self.refusal is not None:
            return "unreadable"
        if self.function in NUDGES:
            return "nudge"
        if self.function != LEAD:
            return "other"
        of = len(self.call_sids)
        return "lead" if of == 1 else "lead of several calls" if of else "lead of no call"


def read_job(data: bytes) -> OldJob:
    """
    Read the field `data` of a job's hash; nothing in it is run, and nothing is raised.

    Takes at most INFLATED_BYTES_MAX of input, and some tens of MB of memory.
    """
    try:
        function, args, kwargs = _checked(_load(_inflated(data)))
    except Refused as refused:
        return OldJob(refused.function, refusal=refused.code)
    return OldJob(function, args, kwargs)


def _inflated(data: bytes) -> bytes:
    """Return what zlib made *data* of; *data* itself where it is not zlib's."""
    zipped = zlib.decompressobj()
    try:
        raw = zipped.decompress(data, INFLATED_BYTES_MAX + 1)
    except zlib.error:
        raw = data
    else:
        if len(raw) <= INFLATED_BYTES_MAX and not zipped.eof:
            raw = data
    if len(raw) > INFLATED_BYTES_MAX:
        raise Refused("large")
    return raw


def _load(raw: bytes) -> Any:
    if raw.lstrip()[:1] == b"[":  # no pickle begins like that
        return _from_json(raw)
    function = _only_plain_opcodes(raw)
    try:
        return _Unpickler(io.BytesIO(raw)).load()
    except Exception:  # noqa: BLE001 (a stream of allowed opcodes may be wrong in a dozen ways; none of them runs anything)
        raise Refused("garbage", function) from None


def _from_json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except RecursionError:
        raise Refused("deep") from None
    except ValueError:
        raise Refused("garbage") from None


class _Unpickler(pickle.Unpickler):
    """The second lock: the opcodes that come here are not among those that are let through."""

    def find_class(self, *_: object) -> Any:
        raise pickle.UnpicklingError("no class is loaded")

    def persistent_load(self, *_: object) -> Any:
        raise pickle.UnpicklingError("no object is loaded")


def _only_plain_opcodes(raw: bytes) -> str | None:
    """
    Refuse a pickle that wants more than plain data, or more room than its own length; the function that it names.

    `genops` decodes arguments without building anything, and raises where one is longer than what is left.
    """
    function: str | None = None
    first: str | None = None
    before = ""
    for count, (name, argument) in enumerate(_opcodes(raw)):
        if count <= 3 and before == "MARK" and name in _TEXTS:  # a tuple of four, and its first
            first = _name(argument)
        elif first is not None and name not in _MEMO:  # its second, which is no instance
            function, first = (first if name == "NONE" else None), None
        before = name
        if name not in _PLAIN:
            raise Refused("code", function)
        if count >= OPCODES_MAX:
            raise Refused("long", function)
        if isinstance(argument, int):
            if argument.bit_length() > INTEGER_BITS_MAX:
                raise Refused("number", function)
            if name in _PLACES and not 0 <= argument <= len(raw):
                raise Refused("garbage", function)
    return function


def _opcodes(raw: bytes) -> Iterator[tuple[str, Any]]:
    try:
        for opcode, argument, _ in pickletools.genops(raw):
            yield opcode.name, argument
    except Exception:  # noqa: BLE001 (garbage is garbage, whatever the decoder of an argument makes of it)
        raise Refused("garbage") from None


def _name(value: object) -> str | None:
    """A dotted name that may stand in a report; None for anything else."""
    return value if isinstance(value, str) and _FUNCTION.fullmatch(value) else None


def _checked(loaded: Any) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    if not isinstance(loaded, (tuple, list)) or len(loaded) != 4:
        raise Refused("shape")
    name, instance, args, kwargs = loaded
    function = _name(name)
    try:
        for value in _values(loaded):
            if isinstance(value, int) and value.bit_length() > INTEGER_BITS_MAX:
                raise Refused("number")
    except Refused as refused:
        raise Refused(refused.code, function) from None
    if instance is not None:
        raise Refused("method")
    if function is None or not isinstance(args, (tuple, list)) or not isinstance(kwargs, dict):
        raise Refused("shape", function)
    if not all(isinstance(key, str) for key in kwargs):
        raise Refused("shape", function)
    return function, tuple(args), kwargs


def _values(root: Any) -> Iterator[Any]:
    """
    Every value in *root*, keys and containers too, depth first and in order.

    Raises:
        Refused: there are more than VALUES_MAX, or they are nested too deep; one that holds itself is.
    """
    waiting = [(root, 0)]
    count = 0
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if depth > DEPTH_MAX:
            raise Refused("deep")
        if count > VALUES_MAX:
            raise Refused("long")
        yield value
        if isinstance(value, dict):
            inside = [each for pair in value.items() for each in pair]
        elif isinstance(value, (list, tuple, set, frozenset)):
            inside = list(value)
        else:
            continue
        waiting.extend((each, depth + 1) for each in reversed(inside))
