"""The cuts of `make guards` stand where they count."""

import re
from itertools import product

import pytest

from outbound import db
from tests.guards.guards import GUARDS, Guard

MIGRATIONS = sorted(path for path in (db.sql_dir() / "migrations").glob("*.sql") if ".rollback" not in path.name)
_MADE = re.compile(r"create or replace function (\w+)")


def function_around(text: str, cut: str) -> str | None:
    """The function that is made last before the place of the cut."""
    made = _MADE.findall(text[: text.index(cut)])
    return made[-1] if made else None


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: str(guard.name))
def test_each_cut_stands_in_the_latest_form_of_its_function(guard: Guard) -> None:
    for name, (cut, _) in product(guard.files, guard.cuts):
        path = db.sql_dir().parent / name
        text = path.read_text()
        assert cut in text
        later = [other for other in MIGRATIONS if path in MIGRATIONS and other > path]
        function = function_around(text, cut)
        assert [other.name for other in later if function in _MADE.findall(other.read_text())] == [], function
