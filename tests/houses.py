"""A database of the system before, for as long as a test needs it, and the commands that an operator runs beside it."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests import old_house
from tests.conftest import Environment, Servers, open_database
from tests.test_adopt import House, adopt, outbound

__all__ = ["House", "adopt", "open_house", "outbound"]


@contextmanager
def open_house(servers: Servers, shape: old_house.Shape) -> Iterator[House]:
    """A house of this shape, with its rows; nothing of it was taken over."""
    with open_database(servers, template=None) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(old_house.tables_sql(shape).encode())
            connection.execute(old_house.rows_sql(shape).encode())
        found = House(url, shape)
        with Environment(TWILIO_ACCOUNT_SID="", TWILIO_AUTH_TOKEN="", OUTBOUND_PUBLIC_URL=""):
            yield found
        found.close()
