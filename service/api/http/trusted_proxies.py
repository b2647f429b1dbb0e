"""The address of a client behind proxies, from ``X-Forwarded-For``, for logs.

Each proxy adds the address of its peer at the right. The last address that no trusted proxy has is the client's: the
client sent what is left of it, and can write anything. Other headers (``Forwarded``, ``X-Real-IP``) are not read: a
proxy that sets one header passes the others on as the client sent them.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_HEADER: Final = b"x-forwarded-for"
#: More proxies than any deployment has. Each costs a microsecond.
_MOST_HOPS: Final = 16
#: Addresses, and headers of usual length, whose reading is cached: a client's requests have the same.
_MOST_CACHED: Final = 4096
_LONGEST_CACHED: Final = 128
#: The longest text of an IPv6 address with brackets, zone and port.
_LONGEST: Final = 80


class TrustedProxies:
    """Set ``client`` of a request from a trusted proxy to the client of that proxy."""

    def __init__(self, app: ASGIApp, networks: Iterable[Network]) -> None:
        self._app = app
        self._networks = tuple(networks)
        self._read = lru_cache(_MOST_CACHED)(self._parse)
        self._usual = lru_cache(_MOST_CACHED)(self._client)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (peer := scope.get("client")):
            address, is_trusted = self._read(peer[0])
            found = self._named(scope) if is_trusted else None
            if found is not None:
                scope["client"] = (found, 0)
            elif address is not None:
                scope["client"] = (address, peer[1])
        await self._app(scope, receive, send)

    def _named(self, scope: Scope) -> str | None:
        """Return the client that the headers name. Several lines are one list, in their order."""
        lines = [value for name, value in scope["headers"] if name == _HEADER]
        value = lines[0] if len(lines) == 1 else b",".join(lines)
        return self._usual(value) if len(value) <= _LONGEST_CACHED else self._client(value)

    def _client(self, value: bytes) -> str | None:
        """Return the last address that is not a trusted proxy's, or the first of all; None: the proxy named none."""
        client = None
        for text in _from_the_right(value):
            address, is_trusted = self._read(text)
            if address is None:
                break  # no address: the trusted proxy that sent it is the last known
            client = address
            if not is_trusted:
                break
        return client

    def _parse(self, text: str) -> tuple[str | None, bool]:
        """Return the address without port and brackets, and whether it is a trusted proxy's; None: not an address."""
        try:
            address = ipaddress.ip_address(_without_port(text))
        except ValueError:
            return None, False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return str(address), any(address in network for network in self._networks)


def _from_the_right(value: bytes) -> Iterator[str]:
    for part in reversed(value.rsplit(b",", _MOST_HOPS)[-_MOST_HOPS:]):
        yield part.decode("latin-1").strip() if len(part) <= _LONGEST else ""


def _without_port(text: str) -> str:
    """``203.0.113.7:4711``, ``[2001:db8::1]:4711`` and ``[2001:db8::1]`` have an address with a port or brackets."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
