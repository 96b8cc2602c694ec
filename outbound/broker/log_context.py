"""The ids of the message at work, in each line that is logged meanwhile."""

import inspect
from functools import cache
from typing import Any

import dramatiq

from outbound import logs


class LogContext(dramatiq.Middleware):
    """Adds a message's call_id or call_sid to each line that is logged while it is at work, also Dramatiq's lines."""

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Bind the message's ids to the log context."""
        logs.forget()
        if message.actor_name in broker.actors:
            given = (
                dict(zip(_parameters(broker.actors[message.actor_name]), message.args, strict=False)) | message.kwargs
            )
            if "call_ids" in given and len(message.args) == 1:  # of several, each line names its own
                given["call_id"] = message.args[0]
            logs.remember(**{name: given[name] for name in ("call_id", "call_sid") if name in given})

    def after_process_message(self, *_: object, **_outcome: object) -> None:
        """Clear the ids."""
        logs.forget()


@cache
def _parameters(actor: dramatiq.Actor[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(actor.fn).parameters)
