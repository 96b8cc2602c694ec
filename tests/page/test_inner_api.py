"""A part of a path stays one part, whatever a form puts into it."""

import pytest

from outbound.api.problem import Problem
from outbound.page import inner_api


def test_a_part_with_a_slash_is_refused() -> None:
    with pytest.raises(Problem) as refused:
        inner_api.path("control", "campaigns", "5/stop", "pause")
    assert refused.value.status == 404


def test_other_characters_of_a_part_are_quoted() -> None:
    assert inner_api.path("windows", 7, "days", "2026-01-01 ?#") == "/windows/7/days/2026-01-01%20%3F%23"
