"""The faults of a link: what passes during each, and afterwards."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.netfaults.faulty_link import ONE_WAY_SECONDS, Network

#: Long enough to see that nothing passes.
_SILENCE = 0.3
_WITHIN = 20.0


class Client:
    """A client of an echo server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, text: bytes) -> None:
        self._writer.write(text)

    async def receive(self, within: float = _WITHIN) -> bytes | None:
        """Return the received bytes, ``b""`` at the end of the connection, None without any."""
        try:
            async with asyncio.timeout(within):
                return await self._reader.read(100)
        except TimeoutError:
            return None
        except ConnectionError:
            return b""

    async def echo(self, text: bytes) -> bytes | None:
        self.send(text)
        return await self.receive()

    def close(self) -> None:
        self._writer.close()


@pytest.fixture
def network() -> Iterator[Network]:
    with Network(seed=1) as opened:
        yield opened


@pytest.fixture
async def port(network: Network) -> AsyncIterator[int]:
    """Return the port of a link to an echo server."""

    writers: list[asyncio.StreamWriter] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        while chunk := await reader.read(100):
            writer.write(chunk)
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        yield network.link("link", lambda: server.sockets[0].getsockname()[1]).port
        for writer in writers:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def connected(port: int) -> Client:
    return Client(*await asyncio.open_connection("127.0.0.1", port))


async def test_link_partition_holds_bytes_until_its_end(network: Network, port: int) -> None:
    client = await connected(port)
    network.change("link", "partition")
    client.send(b"late")
    assert await client.receive(_SILENCE) is None
    network.change("link", "")
    assert await client.receive() == b"late"
    client.close()


async def test_link_partition_lets_connects_hang(network: Network, port: int) -> None:
    network.change("link", "partition")
    attempts = [asyncio.create_task(connected(port)) for _ in range(5)]
    await asyncio.sleep(_SILENCE)
    assert not attempts[-1].done()
    network.change("link", "")
    for client in await asyncio.gather(*attempts):
        assert await client.echo(b"again") == b"again"
        client.close()


async def test_link_half_open_stays_deaf_for_ever(network: Network, port: int) -> None:
    client = await connected(port)
    assert await client.echo(b"before") == b"before"
    network.change("link", "half-open")
    fresh = await connected(port)
    assert await fresh.echo(b"new") == b"new"
    network.change("link", "")
    client.send(b"lost")
    assert await client.receive(_SILENCE) is None
    assert await fresh.echo(b"still") == b"still"
    client.close()
    fresh.close()


async def test_link_latency_delays_both_directions(network: Network, port: int) -> None:
    client = await connected(port)
    network.change("link", "latency")
    began = asyncio.get_running_loop().time()
    assert await client.echo(b"slow") == b"slow"
    assert asyncio.get_running_loop().time() - began >= 2 * ONE_WAY_SECONDS
    client.close()


async def test_link_loss_keeps_order(network: Network, port: int) -> None:
    network.change("link", "loss")
    client = await connected(port)
    sent = [b"%03d" % number for number in range(300)]
    for text in sent:
        assert await client.echo(text) == text
    client.close()


async def test_link_reset_ends_connections(network: Network, port: int) -> None:
    client = await connected(port)
    assert await client.echo(b"before") == b"before"
    network.change("link", "reset")
    assert await client.receive() == b""
    fresh = await connected(port)
    assert await fresh.echo(b"new") == b"new"
    client.close()
    fresh.close()
