"""Finds which schema is ours, beside that of the old tables."""

from outbound import config, db, db_session

DEFAULT = "outbound"


def use() -> None:
    """Work in the schema that is configured, else in `outbound`."""
    if _configured() is None:
        config.use(config.environment() | {"OUTBOUND_SCHEMA": DEFAULT})


def name() -> str:
    """The name of the schema that is ours, whether it is there or not."""
    return _configured() or DEFAULT


def _configured() -> str | None:
    settings = config.settings()
    asked, _ = db_session.settings_of(db.options_of(settings.database_url or ""))
    return settings.database_schema or asked.get("search_path")
