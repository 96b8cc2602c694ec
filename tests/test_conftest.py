"""Where -k names a test, only the files that have the name are imported; what stays is no matter of the collector."""

import gc
from pathlib import Path

import pytest

from tests import ROOT, conftest

DIAL = ROOT / "tests" / "calls" / "test_dial.py"


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("test_a_phone_rings_once_whatever_is_redelivered", True),
        ("Phone_Rings_Once", True),
        ("rings_once", True),
        ("rings_once and not redelivered", False),
        ("+15005550101", False),
        ("", False),
    ],
)
def test_a_name_is_told_from_an_expression(pytestconfig: pytest.Config, given: str, taken: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pytestconfig.option, "keyword", given)
        assert (conftest._named(pytestconfig) is not None) == taken


@pytest.mark.parametrize(
    ("path", "ignored"),
    [(DIAL, None), (DIAL.parent, None), (DIAL.with_name("test_life.py"), True), (ROOT / "tests" / "api", True)],
)
def test_what_has_not_the_name_is_not_imported(pytestconfig: pytest.Config, path: Path, ignored: bool | None) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pytestconfig.option, "keyword", "a_phone_rings_once_whatever_is_redelivered")
        patch.setattr(pytestconfig, "args", ["tests"])
        assert conftest.pytest_ignore_collect(path, pytestconfig) is ignored


def test_what_was_imported_and_collected_is_not_looked_through_again() -> None:
    assert gc.get_freeze_count() > 100_000
    assert gc.isenabled()
