"""The account's auth tokens: the primary one, which signs callbacks, and the next one, while it is rotated."""

import time
from pathlib import Path

from outbound import config, logs
from outbound.settings_model import Settings

log = logs.get("auth_token")

LOOK_S = 1  # a file that has changed is read within this time

Stamp = tuple[int, int, int]


class _Tokens:
    """The tokens of this process, as it was configured and as their files say now."""

    def __init__(self, settings: Settings) -> None:
        given = (settings.twilio_auth_token, settings.twilio_auth_token_secondary)
        self.found = tuple(token.get_secret_value() for token in given if token)
        self._file = settings.twilio_auth_token_file
        self._stamp: Stamp | None = None
        self._read_next_at = float("-inf")

    def current(self) -> tuple[str, ...]:
        """The tokens, the primary one first."""
        if self._file is not None and time.monotonic() >= self._read_next_at:
            self._read_next_at = time.monotonic() + LOOK_S
            self._read(self._file)
        return self.found

    def _read(self, file: Path) -> None:
        try:
            stamp = stamp_of(file)
            if stamp == self._stamp:
                return
            tokens = tuple(file.read_text().split())
        except (OSError, UnicodeDecodeError) as error:
            log.outage("auth_token.unreadable", error)  # those that we know go on
            return
        if not tokens:
            log.outage("auth_token.unreadable", "empty")
            return
        if self._stamp is not None:
            log.info("auth_token.changed", tokens=len(tokens))
        self._stamp, self.found = stamp, tokens


_tokens_of = config.once_per_settings(_Tokens)


def stamp_of(file: Path) -> Stamp:
    """Return what is another once a file was changed or replaced; OSError where it cannot be looked at."""
    found = file.stat()
    return found.st_mtime_ns, found.st_ino, found.st_size


def tokens(settings: Settings | None = None) -> tuple[str, ...]:
    """
    The auth tokens that callbacks may be signed with, the primary one first; none where only an API key is known.

    TWILIO_AUTH_TOKEN_FILE is looked at again every LOOK_S seconds: neither a restart nor a signal is needed.

    Args:
        settings: those of this process by default.
    """
    return _tokens_of(settings or config.settings()).current()
