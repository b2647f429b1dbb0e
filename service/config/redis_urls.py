"""``sentinel://`` URLs: the Sentinels to ask, the name of what they guard, and how to enter what they point at."""

from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import parse_qs, quote, unquote, urlsplit

#: The second one speaks TLS, with the Sentinels and with Redis.
SCHEMES: Final = ("sentinel", "sentinels")
_PORT: Final = 26379
_OPTIONS: Final = {"sentinel_username", "sentinel_password"}


@dataclass(frozen=True, slots=True)
class Login:
    """Empty: none."""

    username: str = ""
    password: str = field(default="", repr=False)

    def options(self) -> dict[str, str]:
        """As redis-py names them."""
        named = {"username": self.username, "password": self.password}
        return {name: value for name, value in named.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentinels:
    """``sentinel://[user:password@]host:port,host:port/<service>[/<db>][?sentinel_username=…&sentinel_password=…]``.

    User and password are those of Redis; the Sentinels' own, where they have any, are in the query.
    """

    hosts: tuple[tuple[str, int], ...]
    service: str
    database: int = 0
    tls: bool = False
    redis: Login = Login()
    own: Login = Login()

    @classmethod
    def parse(cls, url: str) -> Self | None:
        """None: another kind of URL.

        Raises:
            ValueError: what is wrong with it; never quotes the URL, which may hold a password.

        """
        if not is_sentinel(url):
            return None
        parts = urlsplit(url)
        login, _, hosts = parts.netloc.rpartition("@")
        username, _, password = login.partition(":")
        service, _, database = parts.path.strip("/").partition("/")
        options = parse_qs(parts.query)
        if not service:
            raise ValueError("a sentinel:// URL ends with the name of what the Sentinels guard: /<service>/<db>")
        if not (database or "0").isdecimal():
            raise ValueError("the database of a sentinel:// URL is a number")
        if unknown := set(options) - _OPTIONS:
            raise ValueError(f"a sentinel:// URL knows no option {', '.join(sorted(unknown))}")
        return cls(
            hosts=tuple(_host(text) for text in hosts.split(",")),
            service=unquote(service),
            database=int(database or 0),
            tls=parts.scheme == "sentinels",
            redis=Login(unquote(username), unquote(password)),
            own=Login(*(options.get(f"sentinel_{name}", [""])[0] for name in ("username", "password"))),
        )

    def broker_url(self) -> str:
        """The same for kombu, which takes the service's name and the Sentinels' login elsewhere."""
        name, word = quote(self.redis.username, safe=""), quote(self.redis.password, safe="")
        login = f"{name}:{word}@" if name or word else ""
        return ";".join(f"sentinel://{login}{_bracketed(host)}:{port}/{self.database}" for host, port in self.hosts)


def is_sentinel(url: str) -> bool:
    return url.partition("://")[0] in SCHEMES


def _host(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    try:
        host, port = parts.hostname, parts.port or _PORT
    except ValueError:
        raise ValueError("the port of a Sentinel is a number up to 65535") from None
    if not host:
        raise ValueError("a sentinel:// URL names its Sentinels: host:port,host:port")
    return host, port


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
