"""A new business: by its place's clocks, and with its place's calling hours."""

from pathlib import Path

import pytest

from outbound.formats import time_zones
from outbound.rules import business, calling_window, new_business
from tests.cli.test_cli import HELLO, Outbound, outbound, refuses, says
from tests.conftest import World
from tests.monitoring.test_situation import Terminal

pytestmark = pytest.mark.rows_only

__all__ = ["outbound"]  # a fixture

ADD = ("business", "add", "--name", "Acme", "--twiml", HELLO)


@pytest.mark.parametrize(
    ("region", "zones"),
    [
        ("IL", ("Asia/Jerusalem",)),
        ("GB", ("Europe/London",)),
        ("DE", ("Europe/Berlin",)),  # the clocks of Busingen are those of Berlin
        ("AR", ("America/Argentina/Buenos_Aires",)),
        ("ES", ("Europe/Madrid", "Atlantic/Canary")),
        ("UA", ("Europe/Kyiv", "Europe/Simferopol")),
        ("XX", ()),
        ("", ()),
    ],
)
def test_zones_whose_clocks_agree_are_no_choice(region: str, zones: tuple[str, ...]) -> None:
    assert time_zones.choices(region) == zones


def test_a_country_of_several_zones_offers_its_largest_places() -> None:
    states = time_zones.choices("US")

    assert states[:5] == (
        "America/New_York", "America/Chicago", "America/Denver", "America/Phoenix", "America/Los_Angeles"
    )  # fmt: skip
    assert {"Australia/Sydney", "America/Sao_Paulo"} <= {*time_zones.choices("AU"), *time_zones.choices("BR")}
    assert all(
        time_zones.present(zone) == zone for region in ("US", "AU", "BR", "RU") for zone in time_zones.choices(region)
    )


@pytest.mark.parametrize(
    ("region", "phones", "zone", "place"),
    [
        ("il", ["+12125550100"], None, "IL"),
        (None, ["nobody", "+97235550006"], None, "IL"),
        (None, [], "Israel", "IL"),
        (None, [], "UTC", None),
        (None, [], "nowhere", None),
        (None, [], None, None),
    ],
)
def test_a_business_is_where_its_region_or_its_number_or_its_clock_is(
    region: str | None, phones: list[str], zone: str | None, place: str | None
) -> None:
    assert new_business.place(region, phones, zone) == place


def test_a_new_business_keeps_to_its_regions_hours_which_all_of_that_region_share(world: World) -> None:
    given = {"actor": "anna", "time_zone": "Asia/Jerusalem", "default_region": "IL", "twiml": HELLO}

    first = new_business.add("One", **given)  # type: ignore[arg-type]
    second = new_business.add("Two", **given)  # type: ignore[arg-type]
    any_hour = new_business.add("Three", **given, any_hour=True)

    (only,) = calling_window.every()
    assert (only.preset, only.businesses) == ("il", [first.id, second.id])
    assert first.hours is not None
    assert first.hours.hours == "sun-thu 09:00-20:00, fri 09:00-13:00"
    assert any_hour.hours is None
    assert world.value("select count(*) from audit where action = 'set_window' and who = 'anna'") == 2


def test_where_the_business_is_refused_no_window_is_left(world: World) -> None:
    new_business.add("One", actor="anna", time_zone="UTC", twiml=HELLO, phones=["+97235550006"], any_hour=True)

    with pytest.raises(business.BadBusiness, match=r"belongs to business \d+ already"):
        new_business.add(
            "Two", actor="anna", time_zone="UTC", default_region="IL", twiml=HELLO, phones=["+97235550006"]
        )

    assert calling_window.every() == []


def test_the_command_takes_the_zone_of_a_region_that_has_one(world: World, outbound: Outbound) -> None:
    added = outbound(*ADD, "--region", "IL")
    other = outbound(*ADD, "--region", "FR", "--any-hour")
    unknown = outbound(*ADD, "--region", "FR")

    says(added, "1")
    assert added.stderr.splitlines()[-2:] == [
        "time zone: Asia/Jerusalem",
        "calling hours, by each callee's clocks: il, sun-thu 09:00-20:00, fri 09:00-13:00",
    ]
    assert "any hour, as --any-hour says" in other.stderr
    assert "none of FR are known here" in unknown.stderr
    assert [row.time_zone for row in business.every()] == ["Asia/Jerusalem", "Europe/Paris", "Europe/Paris"]


def test_the_command_refuses_a_region_of_several_zones_and_names_them(world: World, outbound: Outbound) -> None:
    refused = outbound(*ADD, "--region", "us")
    given = outbound(*ADD, "--region", "us", "--time-zone", "US/Pacific")

    refuses(refused, "US has several time zones: give --time-zone, like America/New_York, America/Chicago, ")
    says(given, "1")
    assert "us, mon-sun 08:00-21:00" in given.stderr
    assert [row.time_zone for row in business.every()] == ["America/Los_Angeles"]


def test_at_a_terminal_the_command_asks_until_it_has_a_zone(world: World, database: str, tmp_path: Path) -> None:
    configured = {"DATABASE_URL": database, "REDIS_URL": "memory://", "OUTBOUND_DATA_DIR": str(tmp_path / "data")}
    terminal = Terminal(tmp_path, configured, *ADD, "--region", "US")

    terminal.until(b"its number or its name")
    terminal.press(b"EST\n")
    terminal.until(b"EST is an abbreviation")
    terminal.press(b"3\n")

    assert terminal.ended() == 0
    assert b"3  America/Denver" in terminal.seen
    assert [row.time_zone for row in business.every()] == ["America/Denver"]
