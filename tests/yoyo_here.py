"""What yoyo's own command line does, in this process: it starts no Python and reads the migrations once."""

import yoyo

from outbound.database import migrations


def _backend(url: str) -> yoyo.backends.DatabaseBackend:
    return yoyo.get_backend(url.replace("postgresql://", "postgresql+psycopg://"))


def apply_all(url: str) -> None:
    """`yoyo apply`."""
    with _backend(url) as backend, backend.lock():
        backend.apply_migrations(backend.to_apply(migrations._migrations()))


def roll_back_all(url: str) -> None:
    """`yoyo rollback --all`."""
    with _backend(url) as backend, backend.lock():
        backend.rollback_migrations(backend.to_rollback(migrations._migrations()))
