"""An outbound call queue: PostgreSQL is the truth, Dramatiq workers dial through Twilio, no phone rings twice."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outbound.calls.enqueue import BadCall, EnqueuedCall, enqueue_call
    from outbound.calls.import_calls import BadFile, ImportReport, import_calls

__all__ = ["BadCall", "BadFile", "EnqueuedCall", "ImportReport", "enqueue_call", "import_calls"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import what the package offers when it is first asked for: a command that enqueues nothing need not wait."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from outbound.calls import enqueue, import_calls

    return getattr(enqueue if hasattr(enqueue, name) else import_calls, name)
