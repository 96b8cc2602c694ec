"""The address of a Redis that Sentinels look after."""

import pytest

from outbound import redaction
from outbound.formats import sentinel_url, urls


def test_an_address_names_sentinels_primary_and_logins() -> None:
    said = sentinel_url.parse(
        "rediss+sentinel://calls:p%40w@one,two:26380,[::1]:7/my%20master/2"
        "?sentinel_username=watch&sentinel_password=p%26w&ssl_ca_certs=/etc/ca.pem"
    )

    assert said.sentinels == (("one", 26379), ("two", 26380), ("::1", 7))
    assert (said.service, said.db) == ("my master", 2)
    assert said.login == {"username": "calls", "password": "p@w"}
    assert said.sentinel_login == {"username": "watch", "password": "p&w"}
    assert said.tls == {"ssl_ca_certs": "/etc/ca.pem"}


def test_what_is_not_given_has_its_default() -> None:
    said = sentinel_url.parse("redis+sentinel://:hush@one/calls")

    assert said == sentinel_url.SentinelUrl((("one", 26379),), "calls", 0, {"password": "hush"}, {}, None)


@pytest.mark.parametrize("url", ["redis+sentinel://:hush@one,two/calls?sentinel_password=hush&ssl_ca_certs=x"])
def test_no_password_of_it_is_shown(url: str) -> None:
    with pytest.raises(ValueError, match="rediss") as refused:
        sentinel_url.parse(url)

    assert "hush" not in str(refused.value)
    assert "hush" not in urls.without_password(url)
    assert "hush" not in redaction.masked("url", url)
    assert "hush" not in repr(sentinel_url.parse(url.partition("&ssl")[0]))
