"""The cuts of `make guards` stand where they count."""

import re
from itertools import product

import pytest

from outbound import db
from tests.guards.guards import GUARDS, Guard

MIGRATIONS = sorted(path for path in (db.sql_dir() / "migrations").glob("*.sql") if ".rollback" not in path.name)
_MADE = re.compile(r"create or replace function (\w+)")


def functions_around(text: str, cut: str) -> set[str | None]:
    """The functions that are made last before each place of the cut."""
    befores = [text[: place.start()] for place in re.finditer(re.escape(cut), text)]
    return {next(reversed(_MADE.findall(before)), None) for before in befores}


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: str(guard.name))
def test_each_cut_stands_in_the_latest_form_of_its_function(guard: Guard) -> None:
    for name, (cut, _) in product(guard.files, guard.cuts):
        path = db.sql_dir().parent / name
        text = path.read_text()
        assert cut in text
        later = [other for other in MIGRATIONS if path in MIGRATIONS and other > path]
        made_again = {function for other in later for function in _MADE.findall(other.read_text())}
        assert not functions_around(text, cut) <= made_again, f"{cut!r} in {name}"
