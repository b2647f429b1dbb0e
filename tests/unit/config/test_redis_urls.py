"""``sentinel://`` and ``unix://`` URLs: parsing, refused URLs, and messages without passwords."""

import pytest
from pydantic import ValidationError

from service.config.redis_urls import Login, Sentinels, UnixSocket
from tests.support import factories


def test_sentinel_url_with_every_part_is_parsed() -> None:
    url = "sentinel://us%40er:p%2Fw@a.example:1,b.example,[::1]:3/main/2?sentinel_username=u&sentinel_password=s%20s"
    assert Sentinels.parse(url) == Sentinels(
        hosts=(("a.example", 1), ("b.example", 26379), ("::1", 3)),
        service="main",
        database=2,
        redis=Login("us@er", "p/w"),
        sentinel=Login("u", "s s"),
    )


def test_sentinel_url_with_required_parts_only_is_parsed() -> None:
    assert Sentinels.parse("sentinels://a/main") == Sentinels(hosts=(("a", 26379),), service="main", tls=True)


@pytest.mark.parametrize("url", ["redis://a/0", "rediss://a", "unix:///a", "amqp://a"])
def test_sentinel_url_parse_other_scheme_returns_none(url: str) -> None:
    assert Sentinels.parse(url) is None


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sentinel://:secret-text@a:1", "service"),
        ("sentinel://:secret-text@a:1/", "service"),
        ("sentinel://:secret-text@a:1/main/x", "number"),
        ("sentinel://:secret-text@a:99999/main", "port"),
        ("sentinel://:secret-text@a:1,/main", "host:port"),
        ("sentinel://:secret-text@/main", "host:port"),
        ("sentinel://:secret-text@a:1/main?ssl=true", "no option ssl"),
    ],
)
def test_sentinel_url_error_does_not_quote_password(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        Sentinels.parse(url)
    assert "secret-text" not in str(raised.value)


def test_broker_url_has_one_url_for_each_sentinel() -> None:
    sentinels = Sentinels.parse("sentinel://:p%2Fw@a:1,[::1]:3/main/2")
    assert sentinels is not None
    assert sentinels.broker_url() == "sentinel://:p%2Fw@a:1/2;sentinel://:p%2Fw@[::1]:3/2"
    bare = Sentinels.parse("sentinel://a:1/main")
    assert bare is not None
    assert bare.broker_url() == "sentinel://a:1/0"


def test_sentinels_repr_has_no_password() -> None:
    assert "pass" not in repr(Sentinels.parse("sentinel://:pass1@a/main?sentinel_password=pass2"))


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("unix:///run/redis.sock", "socket:///run/redis.sock?virtual_host=0"),
        ("unix:///run/redis.sock?db=3", "socket:///run/redis.sock?virtual_host=3"),
        ("unix://us%40er:p%2Fw@/run/r.sock?db=1", "socket://us%40er:p%2Fw@/run/r.sock?virtual_host=1"),
        ("unix://:p@/run/r.sock", "socket://:p@/run/r.sock?virtual_host=0"),
        ("unix:///run/r.sock?username=u&password=p%2Fw", "socket://u:p%2Fw@/run/r.sock?virtual_host=0"),
    ],
)
def test_unix_url_is_given_to_broker_in_its_form(url: str, broker: str) -> None:
    found = UnixSocket.parse(url)
    assert found is not None
    assert found.broker_url() == broker
    assert "p/w" not in repr(found)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("unix://", "three slashes"),
        ("unix:///", "three slashes"),
        ("unix://run/redis.sock", "three slashes"),
        ("unix://:secret-text@run/redis.sock", "three slashes"),
        ("unix://:secret-text@/run/redis.sock?db=x", "number"),
    ],
)
@pytest.mark.parametrize("setting", ["redis_url", "broker_url"])
def test_unix_url_that_names_no_socket_is_refused(setting: str, url: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message) as raised:
        factories.settings(**{"redis_url": "redis://a/0", setting: url})
    assert "secret-text" not in str(raised.value)
