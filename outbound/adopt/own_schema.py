"""Which schema is ours, beside that of the old tables."""

import os

from outbound import config, db, session

DEFAULT = "outbound"


def use() -> None:
    """Let this process and its children work in the schema that is configured, else in `outbound`."""
    url = config.load().database_url
    if url is not None and "search_path" not in url:
        os.environ["DATABASE_URL"] = db.url_of_schema(url, DEFAULT)
        config.settings.cache_clear()


def name() -> str:
    """The name of the schema that is ours, whether it is there or not."""
    options = db.options_of(config.settings().database_url or "")
    return session.settings_of(options)[0].get("search_path", DEFAULT)
