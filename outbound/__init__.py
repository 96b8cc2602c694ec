"""An outbound call queue: PostgreSQL is the truth, Dramatiq workers dial through Twilio, no phone rings twice."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outbound.calls.call_record import CallRecord
    from outbound.calls.call_request import BadCall
    from outbound.calls.enqueue import EnqueuedCall, RefusedCall
    from outbound.calls.import_calls import BadFile, ImportReport, import_calls
    from outbound.calls.reason import Reason
    from outbound.calls.reschedule import Moved
    from outbound.drivers import BadConnection
    from outbound.producer import cancel_call, enqueue_call, enqueue_calls, get_call, reschedule_call, why
    from outbound.rules.cancel_call import Canceled

__all__ = [
    "BadCall",
    "BadConnection",
    "BadFile",
    "CallRecord",
    "Canceled",
    "EnqueuedCall",
    "ImportReport",
    "Moved",
    "Reason",
    "RefusedCall",
    "cancel_call",
    "enqueue_call",
    "enqueue_calls",
    "get_call",
    "import_calls",
    "reschedule_call",
    "why",
]
__version__ = "0.1.0"

_OF_FILES = ("BadFile", "ImportReport", "import_calls")  # these take the libraries of our own processes


def __getattr__(name: str) -> Any:
    """Import what the package offers when it is first asked for: a command that enqueues nothing need not wait."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _OF_FILES:
        from outbound import extras

        with extras.named():
            from outbound.calls import import_calls as files

        return getattr(files, name)
    if name == "BadConnection":
        from outbound import drivers

        return drivers.BadConnection
    from outbound import producer

    return getattr(producer, name)
