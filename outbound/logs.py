"""One event, one line; never a phone number or a name."""

import logging
import re
import sys
from typing import Any

import structlog

# Twilio's error texts, URLs of failed requests, and the arguments of old messages, carry numbers.
_PHONE = re.compile(
    r"""
    (?: \+ | %2[Bb] ) [1-9] (?: [ ().-]{0,2} \d ){6,14}                               # +15005550101, +1 (500) 555-0101
    | (?<![\w.-]) 0 \d (?: -? \d ){7,9} (?! \w | [.-]\w )                            # 0501234567, 050-123-4567
    | (?<![\w.-]) (?: \(\d{3}\)[ ]? | \d{3}[ .-] ) \d{3}[ .-]\d{4} (?! \w | [.-]\w )  # (500) 555-0101
    | (?<= ['"] ) \d{7,15} (?= \\? ['"] )                # an argument in quotes; ids are not, or begin with letters
    | (?P<said> (?i: \b (?: (?: from | to | phone ) (?: _number )? | caller | called | number ) ['"]? \s* [=:] \s* ) )
      \d{7,15} (?! \w )
    """,
    re.VERBOSE,
)


class _Masked(structlog.stdlib.ProcessorFormatter):
    """The last word on every line of every library: what looks like a phone number does not leave the process."""

    def format(self, record: logging.LogRecord) -> str:
        return _PHONE.sub(r"\g<said>+…", super().format(record))


def set_up(level: str = "INFO") -> None:
    """Send every log line of this process, ours and the libraries', to standard error in one form."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _Masked(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("apscheduler").setLevel(logging.WARNING)  # two lines per tick otherwise
    logging.getLogger("twilio").setLevel(logging.WARNING)  # it logs whole requests, numbers included


def get(step: str) -> Any:
    """The log of one step; name an event `step.what_happened` and give ids, never numbers."""
    return structlog.get_logger(step)
