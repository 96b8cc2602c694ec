"""Which addresses a webhook may go to: forty that it may not, by what several services refuse, and some that it may."""

import pytest

from outbound.formats import network_addresses

# Loopback, private, link-local, shared, documentation, benchmarking, multicast, reserved; mapped, compatible, NAT64,
# 6to4, Teredo, unique local, site-local; metadata services among them.
REFUSED = """
127.0.0.1 127.254.254.254 0.0.0.0 0.1.2.3 10.254.0.0 172.16.10.65 192.168.10.65 169.254.169.254 169.254.170.2
100.100.100.200 100.64.0.1 192.0.0.8 192.0.2.255 198.51.100.65 203.0.113.6 192.88.99.3 198.18.0.1 224.1.2.3
233.252.0.16 240.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:169.254.169.254
64:ff9b::a9fe:a9fe 64:ff9b:1::1 100::1 2001:0:1::1 2001:db8::1 2002:7f00:1:: 3fff::1 5f00::1 fc00::1
fd00:ec2::254 fe80::1 febf:ffff::1 fec0::1 ff02::1 ::ffff:0:a9fe:a9fe ::ffff:0:7f00:1 4000::1
""".split()  # noqa: SIM905
PUBLIC = ["1.1.1.1", "8.8.8.8", "::ffff:8.8.8.8", "2001:4860:4860::8888", "2a00:1450:4001:80b::200e"]
METADATA = """
169.254.169.254 169.254.170.2 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe 64:ff9b:1::a9fe:a9fe 2002:a9fe:a9fe::
fd00:ec2::254 ::169.254.169.254 100.100.100.200
::ffff:0:a9fe:a9fe fd20:ce::254 fe80::a9fe:a9fe 192.0.0.192
""".split()  # noqa: SIM905


def address(text: str) -> network_addresses.Address:
    found = network_addresses.parse(text)
    assert found is not None
    return found


@pytest.mark.parametrize("text", REFUSED)
def test_what_leads_inside_or_nowhere_is_not_public(text: str) -> None:
    assert not network_addresses.is_public(address(text))
    assert not network_addresses.is_allowed(address(text), [])


@pytest.mark.parametrize("text", PUBLIC)
def test_addresses_of_the_internet_are_public(text: str) -> None:
    assert network_addresses.is_public(address(text))


@pytest.mark.parametrize("text", METADATA)
def test_no_setting_opens_a_metadata_service(text: str) -> None:
    everything = network_addresses.networks("0.0.0.0/0, ::/0")

    assert not network_addresses.is_allowed(address(text), everything)


@pytest.mark.parametrize("text", ["10.1.2.3", "::ffff:10.1.2.3", "[fd12::1]"])
def test_a_setting_opens_a_network_of_one_s_own(text: str) -> None:
    assert network_addresses.is_allowed(address(text), network_addresses.networks("10.1.0.0/16,fd12::/16"))


def test_a_network_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match=r"'10\.1\.2\.3/16' is no network: write it like 10\.0\.0\.0/8"):
        network_addresses.networks("10.0.0.0/8, 10.1.2.3/16")


@pytest.mark.parametrize("text", ["example.com", "", "localhost", "127.1", "2130706433"])
def test_a_name_is_no_address(text: str) -> None:
    assert network_addresses.parse(text) is None
