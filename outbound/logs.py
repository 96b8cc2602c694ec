"""One event, one line; never a phone number or a name."""

import logging
import os
import sys
import threading
from collections.abc import Mapping, MutableMapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, TextIO

from outbound import config, late_imports, library_logs, redaction
from outbound.formats import plain_text

late_imports.load_without("structlog", "rich")  # it would draw frames around tracebacks: a line has none
import structlog  # noqa: E402

FORMAT_SETTING = "OUTBOUND_LOG_FORMAT"

_OURS = ("timestamp", "level")  # the last word on these is our own processors'
_OF_LINES = ("exception", "stack")

_RENDERERS: dict[str, Any] = {
    "logfmt": lambda: structlog.processors.LogfmtRenderer(
        key_order=["timestamp", "level", "event", "call_id", "call_sid"], drop_missing=True, bool_as_flag=False
    ),
    "json": structlog.processors.JSONRenderer,
    "console": lambda: structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty() and not os.environ.get("NO_COLOR")),
}
FORMATS = tuple(_RENDERERS)


def for_a_command() -> None:
    """
    The log of a command that prints and ends: warnings alone, since other lines would stand between what it prints.

    Where systemd runs it, as `outbound migrate`, the journal gets all of them.
    """
    set_up("INFO" if _goes_to_the_journal() else "WARNING")


def set_up(level: str = "INFO", stream: TextIO | None = None) -> None:
    """
    Send every log line of this process, ours and the libraries', to standard error, or to *stream*, in one form.

    The form is read from the environment (OUTBOUND_LOG_FORMAT) and not from the settings: the log is needed before
    they are checked, and a wrong value, which they refuse, must not keep that refusal from being seen.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=_Log,
        cache_logger_on_first_use=True,
    )
    asked = config.environment().get(FORMAT_SETTING, "")
    form = asked if asked in _RENDERERS else "logfmt"
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        _Journal(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _without_numbers,
                *([_in_one_line] if form == "console" else []),
                _RENDERERS[form](),
            ],
        )
    )
    handler.addFilter(library_logs.Outages(get("process").outage))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)
    logging.getLogger("apscheduler").setLevel(logging.WARNING)  # two lines per tick otherwise
    logging.getLogger("twilio").setLevel(logging.WARNING)  # it logs whole requests, numbers included
    sys.excepthook = _died
    threading.excepthook = _thread_died


def get(step: str) -> Any:
    """The log of one step; name an event `step.what_happened` and give ids, never numbers."""
    return structlog.wrap_logger(None, wrapper_class=_Log, logger_factory_args=(step,))


def about(**ids: object) -> AbstractContextManager[None]:
    """Let every line that is logged inside carry these ids, ours and the libraries'; None is no id."""
    return structlog.contextvars.bound_contextvars(**{name: value for name, value in ids.items() if value is not None})


def remember(**ids: object) -> None:
    """Add these ids to every line that this thread logs, until `forget`."""
    structlog.contextvars.bind_contextvars(**ids)


def forget() -> None:
    """Let further lines carry no ids."""
    structlog.contextvars.clear_contextvars()


class _Log(structlog.stdlib.BoundLogger):
    """One step's log."""

    def outage(self, event: str, error: BaseException | str | None, **values: Any) -> None:
        """
        Log that something outside is away; at most one line a second of the same kind.

        A warning with its `cause`: the class of *error*, or what it is given as; `more` lines were not written before.
        """
        why = library_logs.cause(error)
        suppressed = library_logs.suppressed(event, why)
        if suppressed is not None:
            self.warning(event, **values, cause=why, **({"more": suppressed} if suppressed else {}))


def _goes_to_the_journal() -> bool:
    # A shell that was opened from a unit inherits the variable; what a person reads is no journal.
    return "JOURNAL_STREAM" in os.environ and not sys.stderr.isatty()


class _Journal(structlog.stdlib.ProcessorFormatter):
    """Tells journald the priority of a line in its own way (sd-daemon(3)): it takes `<4>` off and files the rest."""

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        if not _goes_to_the_journal():
            return line
        prefix = f"<{_priority(record.levelno)}>"
        return "\n".join(prefix + part for part in line.splitlines())  # `console` has tracebacks of several lines


def _priority(level: int) -> int:
    """A level as syslog counts it: 2 critical, 3 error, 4 warning, 6 info, 7 debug."""
    steps = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
    return next((priority for least, priority in steps if level >= least), 7)


def _without_numbers(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """The last word on every line of every library: what looks like a phone number does not leave the process."""
    return {str(name): value if name in _OURS else redaction.masked(str(name), value) for name, value in event.items()}


def _in_one_line(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """In a form that does not quote: an end of a line in a value begins no other event.  Tracebacks have theirs."""
    return {
        name: plain_text.visible(value) if isinstance(value, str) and name not in _OF_LINES else value
        for name, value in event.items()
    }


def _died(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An error that nobody caught is one line too, and its text may hold a number."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    get("process").critical("process.died", exc_info=(kind, error, trace))


def _thread_died(death: threading.ExceptHookArgs) -> None:
    if death.exc_type is SystemExit or death.exc_value is None:
        return
    name = death.thread.name if death.thread else None
    get("process").critical(
        "process.thread_died", thread=name, exc_info=(death.exc_type, death.exc_value, death.exc_traceback)
    )
