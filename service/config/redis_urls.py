"""URLs of Redis that Celery's client does not read: ``sentinel://``, with the Sentinels and their logins, and ``unix://``."""

from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import parse_qs, quote, unquote, urlsplit

#: With the second one, the connections to the Sentinels and to Redis use TLS.
SCHEMES: Final = ("sentinel", "sentinels")
_PORT: Final = 26379
_OPTIONS: Final = {"sentinel_username", "sentinel_password"}


@dataclass(frozen=True, slots=True)
class Login:
    """User name and password; an empty one is not sent."""

    username: str = ""
    password: str = field(default="", repr=False)

    def options(self) -> dict[str, str]:
        """Return the arguments of a redis-py connection."""
        named = {"username": self.username, "password": self.password}
        return {name: value for name, value in named.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentinels:
    """``sentinel://[user:password@]host:port,host:port/<service>[/<db>][?sentinel_username=…&sentinel_password=…]``.

    User and password are those of Redis. Those of the Sentinels are in the query, where the Sentinels need them.
    """

    hosts: tuple[tuple[str, int], ...]
    service: str
    database: int = 0
    tls: bool = False
    redis: Login = Login()
    sentinel: Login = Login()

    @classmethod
    def parse(cls, url: str) -> Self | None:
        """Parse the URL. Return None for a URL with another scheme.

        Raises:
            ValueError: the URL is incomplete or wrong. The message does not quote the URL, which may hold a password.

        """
        if not is_sentinel(url):
            return None
        parts = urlsplit(url)
        login, _, hosts = parts.netloc.rpartition("@")
        username, _, password = login.partition(":")
        service, _, database = parts.path.strip("/").partition("/")
        options = parse_qs(parts.query)
        if not service:
            raise ValueError("a sentinel:// URL ends with the service that the Sentinels monitor: /<service>/<db>")
        if not (database or "0").isdecimal():
            raise ValueError("the database of a sentinel:// URL is a number")
        if unknown := set(options) - _OPTIONS:
            raise ValueError(f"a sentinel:// URL has no option {', '.join(sorted(unknown))}")
        return cls(
            hosts=tuple(_host(text) for text in hosts.split(",")),
            service=unquote(service),
            database=int(database or 0),
            tls=parts.scheme == "sentinels",
            redis=Login(unquote(username), unquote(password)),
            sentinel=Login(*(options.get(f"sentinel_{name}", [""])[0] for name in ("username", "password"))),
        )

    def broker_url(self) -> str:
        """Return the URL for kombu, which reads the service's name and the Sentinels' login from its options."""
        login = _quoted_login(self.redis)
        return ";".join(f"sentinel://{login}{_bracketed(host)}:{port}/{self.database}" for host, port in self.hosts)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnixSocket:
    """``unix://[user:password@]/path/of/socket[?db=N][&username=…&password=…]``, as redis-py reads it."""

    path: str
    """Percent-encoded."""
    database: int = 0
    redis: Login = Login()

    @classmethod
    def parse(cls, url: str) -> Self | None:
        """Parse the URL. Return None for a URL with another scheme.

        Raises:
            ValueError: the URL is incomplete or wrong. The message does not quote the URL, which may hold a password.

        """
        parts = urlsplit(url)
        if parts.scheme != "unix":
            return None
        login, _, host = parts.netloc.rpartition("@")
        if host or not parts.path.strip("/"):
            raise ValueError(
                "a unix:// URL has three slashes before the path of the socket: unix:///run/redis.sock?db=0"
            )
        options = parse_qs(parts.query)
        if not (database := options.get("db", ["0"])[0]).isdecimal():
            raise ValueError("the database of a unix:// URL is a number: ?db=0")
        username, _, password = login.partition(":")
        return cls(
            path=parts.path,
            database=int(database),
            redis=Login(
                unquote(username) or options.get("username", [""])[0],
                unquote(password) or options.get("password", [""])[0],
            ),
        )

    def broker_url(self) -> str:
        """Return the URL for kombu, which has another scheme and another name for the database."""
        return f"socket://{_quoted_login(self.redis)}{self.path}?virtual_host={self.database}"


def _quoted_login(login: Login) -> str:
    username, password = quote(login.username, safe=""), quote(login.password, safe="")
    return f"{username}:{password}@" if username or password else ""


def is_sentinel(url: str) -> bool:
    return url.partition("://")[0] in SCHEMES


def _host(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    try:
        host, port = parts.hostname, parts.port or _PORT
    except ValueError:
        raise ValueError("the port of a Sentinel is a number up to 65535") from None
    if not host:
        raise ValueError("a sentinel:// URL lists its Sentinels: host:port,host:port")
    return host, port


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
