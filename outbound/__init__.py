"""An outbound call queue: PostgreSQL is the truth, Dramatiq workers dial through Twilio, no phone rings twice."""

from outbound.calls.enqueue import BadCall, BadFile, EnqueuedCall, ImportReport, enqueue_call, import_calls

__all__ = ["BadCall", "BadFile", "EnqueuedCall", "ImportReport", "enqueue_call", "import_calls"]
__version__ = "0.1.0"
