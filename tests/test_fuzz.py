"""A short run of the attacks on the web process; `make fuzz` has longer ones."""

import pytest

from tests.fuzz import web


@pytest.mark.timeout(300)
def test_nothing_that_is_forged_or_odd_gets_into_the_web_process() -> None:
    result = web.run(seed=12, count=600)

    found = (result.believed, result.server_errors, result.tracebacks, result.state_changes)
    assert (result.tries, found) == (600, (0, 0, 0, 0))
