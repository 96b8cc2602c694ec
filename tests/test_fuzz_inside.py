"""A short run of the attacks on files, commands, messages and cells; `make fuzz` has the long one."""

from collections.abc import Callable

import pytest

from tests.conftest import Environment, Servers
from tests.fuzz import broker, cells, commands, files
from tests.fuzz.result import Result


@pytest.mark.parametrize(
    ("run", "count"),
    [(files.run, 60), (commands.run, 60), (cells.run, 30), (broker.run, 8)],
    ids=["files", "commands", "cells", "broker"],
)
def test_no_odd_thing_does_more_than_be_refused(
    servers: Servers, run: Callable[[int, int], Result], count: int
) -> None:
    with Environment(DATABASE_URL=servers.database_url, REDIS_URL=servers.redis_url):
        result = run(20261126, count)

    assert result.tries == count
    assert (result.believed, result.server_errors, result.tracebacks, result.state_changes) == (0, 0, 0, 0)
