"""A DNS server on loopback with responses set by a test, and a resolver that uses it."""

import asyncio
import socket
import struct
import threading
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Self

from aiohttp.abc import AbstractResolver, ResolveResult

_A, _AAAA, _IN = 1, 28, 1
_ANSWER = 0x8180  # a response, recursion available, no error


@dataclass
class NameServer:
    answers: list[list[str]] = field(default_factory=list)
    """Addresses of the next responses; the last entry is repeated."""
    queries: int = 0
    silent: str = ""
    """Names with this end get no response; "": every name gets one."""

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.address)
        self._thread.join(5)
        self._socket.close()

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._socket.getsockname()
        return host, port

    def _serve(self) -> None:
        while True:
            query, client = self._socket.recvfrom(512)
            if not query:
                return
            self.queries += 1
            if self.silent and _name(query).endswith(self.silent):
                continue
            addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            self._socket.sendto(_reply(query, addresses), client)


class Stub(AbstractResolver):
    """Queries the name server every time: its records have TTL 0."""

    def __init__(self, server: NameServer, *, seconds: float = 5) -> None:
        """``seconds``: how long a lookup waits for a response."""
        self._server = server
        self._seconds = seconds

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await asyncio.to_thread(ask, self._server.address, host, seconds=self._seconds)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET if ip_address(address).version == 4 else socket.AF_INET6,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in found
        ]

    async def close(self) -> None:
        pass


def ask(server: tuple[str, int], host: str, *, seconds: float = 5) -> list[str]:
    """Return the addresses of a name. Raises TimeoutError: there was no response."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in host.split("."))
    query = struct.pack("!6H", 1, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", _A, _IN)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(seconds)
        client.sendto(query, server)
        return _addresses(client.recv(4096), len(query))


def _name(query: bytes) -> str:
    labels, at = [], 12
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode())
        at += 1 + length
    return ".".join(labels)


def _reply(query: bytes, addresses: list[str]) -> bytes:
    head = query[:2] + struct.pack("!5H", _ANSWER, 1, len(addresses), 0, 0)
    return head + query[12:] + b"".join(_record(address) for address in addresses)


def _record(address: str) -> bytes:
    packed = ip_address(address).packed
    kind = _A if len(packed) == 4 else _AAAA
    return b"\xc0\x0c" + struct.pack("!2HIH", kind, _IN, 0, len(packed)) + packed


def _addresses(reply: bytes, at: int) -> list[str]:
    found = []
    for _ in range(struct.unpack_from("!H", reply, 6)[0]):
        (length,) = struct.unpack_from("!H", reply, at + 10)
        found.append(str(ip_address(reply[at + 12 : at + 12 + length])))
        at += 12 + length
    return found
