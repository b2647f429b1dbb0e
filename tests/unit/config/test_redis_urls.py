"""sentinel:// URLs: what they say, what they must say, and that they tell no password."""

import pytest

from service.config.redis_urls import Login, Sentinels


def test_a_full_url_says_all() -> None:
    url = "sentinel://us%40er:p%2Fw@a.example:1,b.example,[::1]:3/main/2?sentinel_username=u&sentinel_password=s%20s"
    assert Sentinels.parse(url) == Sentinels(
        hosts=(("a.example", 1), ("b.example", 26379), ("::1", 3)),
        service="main",
        database=2,
        redis=Login("us@er", "p/w"),
        own=Login("u", "s s"),
    )


def test_the_least_of_it() -> None:
    assert Sentinels.parse("sentinels://a/main") == Sentinels(hosts=(("a", 26379),), service="main", tls=True)


@pytest.mark.parametrize("url", ["redis://a/0", "rediss://a", "unix:///a", "amqp://a"])
def test_another_kind_is_none(url: str) -> None:
    assert Sentinels.parse(url) is None


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sentinel://:secret-word@a:1", "service"),
        ("sentinel://:secret-word@a:1/", "service"),
        ("sentinel://:secret-word@a:1/main/x", "number"),
        ("sentinel://:secret-word@a:99999/main", "port"),
        ("sentinel://:secret-word@a:1,/main", "host:port"),
        ("sentinel://:secret-word@/main", "host:port"),
        ("sentinel://:secret-word@a:1/main?ssl=true", "no option ssl"),
    ],
)
def test_what_is_wrong_is_told_and_the_password_is_not(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        Sentinels.parse(url)
    assert "secret-word" not in str(raised.value)


def test_kombu_gets_one_url_for_each_sentinel() -> None:
    sentinels = Sentinels.parse("sentinel://:p%2Fw@a:1,[::1]:3/main/2")
    assert sentinels is not None
    assert sentinels.broker_url() == "sentinel://:p%2Fw@a:1/2;sentinel://:p%2Fw@[::1]:3/2"
    bare = Sentinels.parse("sentinel://a:1/main")
    assert bare is not None
    assert bare.broker_url() == "sentinel://a:1/0"


def test_passwords_are_in_no_repr() -> None:
    assert "word" not in repr(Sentinels.parse("sentinel://:word1@a/main?sentinel_password=word2"))
