"""The users of Redis that deploy/compose.yaml declares."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

import redis as redis_py
import yaml

from tests.guards.repository import ROOT

PASSWORD: Final = "gateway-password"


#: Commands that tests send over the product's connection, and the product does not.
_OF_TESTS: Final = ("+keys", "+flushall", "+flushdb", "+config")


@cache
def users() -> tuple[str, ...]:
    """Return the lines of the ACL file, with the password set."""
    text = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())["configs"]["redis-users"]["content"]
    return tuple(re.sub(r"\$\{REDIS_PASSWORD:\?[^}]*\}", PASSWORD, text).splitlines())


def create_gateway_user(url: str) -> None:
    """Create the gateway's user on a server whose default user may do everything."""
    (rules,) = (line.split()[2:] for line in users() if line.startswith("user gateway "))
    with redis_py.Redis.from_url(url) as client:
        client.execute_command("ACL", "SETUSER", "gateway", "reset", *rules, *_OF_TESTS)


@contextmanager
def refusing(url: str, command: str) -> Iterator[None]:
    """Refuse a command to the gateway's user; ``url``: of the default user."""
    with redis_py.Redis.from_url(url) as client:
        client.execute_command("ACL", "SETUSER", "gateway", f"-{command}")
        try:
            yield
        finally:
            client.execute_command("ACL", "SETUSER", "gateway", f"+{command}")


def as_gateway(url: str) -> str:
    """Return the URL with the gateway's user."""
    return url.replace("redis://", f"redis://gateway:{PASSWORD}@")


def as_default(url: str) -> str:
    """Return the URL of the gateway's user with the default user, who may do everything."""
    return url.replace(f"gateway:{PASSWORD}@", "")
