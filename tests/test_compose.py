"""ops/compose.yaml: no password that everybody knows where real phones ring, and nobody reaches more than is needed."""

import re
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests import ROOT

COMPOSE = ROOT / "ops" / "compose.yaml"
SECRETS = {
    "POSTGRES_PASSWORD": "pg-hush",
    "OUTBOUND_METRICS_TOKEN": "metrics-hush-0123456",
    "GRAFANA_PASSWORD": "g-hush",
}
KNOWN = {"outbound", "known-to-this-file-alone"}

_NAME = re.compile(r"\$\{(\w+)(?:(:-|:\+|:\?)|(?=\}))")


class Required(Exception):
    """What must be set and is not."""


def filled(text: str, given: dict[str, str]) -> str:
    """A text with its variables, as Compose fills them in: `:-` else, `:+` where set, `:?` or an error; nested."""
    found = _NAME.search(text)
    if found is None:
        return text
    depth, end = 1, found.end()
    while depth:
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        end += 1
    inner, value = text[found.end() : end - 1], given.get(found[1], "")
    if found[2] == ":+":
        value = filled(inner, given) if value else ""
    elif not value and found[2] == ":?":
        raise Required(inner)
    elif not value and found[2] == ":-":
        value = filled(inner, given)
    return text[: found.start()] + value + filled(text[end:], given)


def composed(**given: str) -> Any:
    return yaml.safe_load(filled(COMPOSE.read_text(), given))


def passwords(found: Any) -> set[str]:
    services = found["services"]
    return {
        services["web"]["environment"]["DATABASE_URL"].split("@")[0].rpartition(":")[2],
        services["postgres"]["environment"]["POSTGRES_PASSWORD"],
        services["web"]["environment"]["OUTBOUND_METRICS_TOKEN"],
        found["configs"]["metrics_token"]["content"],
        services["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD"],
    }


def test_with_nothing_set_it_starts_and_rings_no_phone() -> None:
    found = composed()

    assert found["services"]["web"]["environment"]["OUTBOUND_CARRIER"] == "simulator"
    assert passwords(found) == KNOWN


def test_with_real_phones_it_starts_with_passwords_of_its_own() -> None:
    found = composed(OUTBOUND_CARRIER="twilio", **SECRETS)

    assert passwords(found) == set(SECRETS.values())


@pytest.mark.parametrize("missing", SECRETS)
def test_with_real_phones_and_without_one_of_them_it_does_not_start(missing: str) -> None:
    given = {name: value for name, value in SECRETS.items() if name != missing}

    with pytest.raises(Required, match=f"set {missing}"):
        composed(OUTBOUND_CARRIER="twilio", **given)


def test_who_watches_does_not_reach_the_database_and_the_database_reaches_nobody_outside() -> None:
    found = composed()
    networks = {name: set(service.get("networks", ())) for name, service in found["services"].items()}

    assert {name for name, of in networks.items() if "data" in of} == {"postgres", "redis", "migrate", "netns"}
    assert found["networks"]["data"] == {"internal": True}
    assert networks["postgres"] == networks["redis"] == networks["migrate"] == {"data"}
    assert networks["prometheus"] == networks["alertmanager"] == networks["grafana"] == {"watch"}
    assert all(of or found["services"][name]["network_mode"] == "service:netns" for name, of in networks.items())


def test_every_port_is_open_on_this_machine_alone() -> None:
    ports = [port for service in composed()["services"].values() for port in service.get("ports", ())]

    assert len(ports) == 5
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_image_is_named_by_its_version() -> None:
    images = {service["image"] for service in composed()["services"].values()} - {"outbound"}

    assert all(re.search(r":v?\d", image) for image in images)
