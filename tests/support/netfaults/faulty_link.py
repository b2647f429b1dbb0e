"""TCP proxies with the faults of a network, one for each link between two hosts.

A proxy needs no privilege and no module of the kernel, and is the same on every machine. What it cannot imitate: the
kernel of the proxy answers TCP keepalive probes, so that no keepalive finds a dead peer behind it.
"""

import asyncio
import contextlib
import random
import socket
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Self, TypeVar

Fault = Literal[
    "",
    "partition",  # nothing passes, and no connection is made; held bytes pass after the end
    "latency",  # 500 ms for each round trip
    "half-open",  # connections that exist at its begin never get a response again, and are not closed; new ones work
    "loss",  # 1 % of the chunks wait for a retransmission
    "reset",  # connections that exist at its begin are closed
]

ONE_WAY_SECONDS: Final = 0.25
LOST: Final = 0.01
#: The first retransmission of a lost segment; each further one waits twice as long.
RETRANSMIT_SECONDS: Final = 0.2
_CHUNK: Final = 65536
_BACKLOG: Final = 1024

T = TypeVar("T")


@dataclass(eq=False)
class Connection:
    """One connection of a link: two sockets, and a task for each direction."""

    link: "Link"
    client: socket.socket
    server: socket.socket
    is_deaf: bool = False
    """Whether it never carries a response again."""

    async def relay(self) -> None:
        """Forward both directions until both have ended, or one of them is broken."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._forward(self.client, self.server))
                group.create_task(self._forward(self.server, self.client))
        except* OSError:
            pass

    def close(self) -> None:
        self.client.close()
        self.server.close()

    async def _forward(self, source: socket.socket, target: socket.socket) -> None:
        """Read as fast as the source sends, so that delays do not add up, and write in the same order."""
        chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(source, chunks))
            while True:
                due, chunk = await chunks.get()
                await asyncio.sleep(due - asyncio.get_running_loop().time())
                await self.link.passable.wait()
                if self.is_deaf and source is self.server:
                    await asyncio.Event().wait()
                if not chunk:
                    target.shutdown(socket.SHUT_WR)
                    return
                await asyncio.get_running_loop().sock_sendall(target, chunk)

    async def _read(self, source: socket.socket, chunks: "asyncio.Queue[tuple[float, bytes]]") -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                chunk = await loop.sock_recv(source, _CHUNK)
            except ConnectionError:
                chunk = b""
            await chunks.put((loop.time() + self.link.delay(), chunk))
            if not chunk:
                return


@dataclass(eq=False)
class Link:
    """A listener on loopback, forwarded to a port that is known when the first connection comes."""

    name: str
    target: Callable[[], int]
    rng: random.Random
    listener: socket.socket
    fault: Fault = ""
    connections: set[Connection] = field(default_factory=set)
    passable: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def port(self) -> int:
        port: int = self.listener.getsockname()[1]
        return port

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.port}"

    def delay(self) -> float:
        """Return the seconds that the next chunk is on its way."""
        if self.fault == "latency":
            return ONE_WAY_SECONDS
        if self.fault != "loss" or self.rng.random() >= LOST:
            return 0.0
        seconds = wait = RETRANSMIT_SECONDS
        while self.rng.random() < LOST:
            wait *= 2
            seconds += wait
        return seconds

    def change(self, fault: Fault) -> None:
        """Begin a fault, in the event loop; ``""`` ends it."""
        self.fault = fault
        self.passable.set()
        self.listener.listen(_BACKLOG)
        if fault == "partition":
            self.passable.clear()
            self.listener.listen(0)  # the kernel drops the SYN of a client when this queue is full
        elif fault == "half-open":
            for connection in self.connections:
                connection.is_deaf = True
        elif fault == "reset":
            for connection in self.connections:
                for end in (connection.client, connection.server):
                    with contextlib.suppress(OSError):  # its peer has closed it already
                        end.shutdown(socket.SHUT_RDWR)

    async def accept(self) -> None:
        loop, relays = asyncio.get_running_loop(), set[asyncio.Task[None]]()
        while True:
            await self.passable.wait()
            client, _ = await loop.sock_accept(self.listener)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            relay = asyncio.create_task(self._relay(client))
            relays.add(relay)
            relay.add_done_callback(relays.discard)

    async def _relay(self, client: socket.socket) -> None:
        """Connect on, and forward. A target that refuses the connection has the client's connection closed."""
        server = socket.socket()
        server.setblocking(False)
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(self, client, server)
        try:
            await self.passable.wait()
            with contextlib.suppress(OSError):
                await asyncio.get_running_loop().sock_connect(server, ("127.0.0.1", self.target()))
                self.connections.add(connection)
                await connection.relay()
        finally:
            self.connections.discard(connection)
            connection.close()


class Network:
    """All links of a test, on an event loop in a thread. Use with ``with``."""

    def __init__(self, seed: int = 0) -> None:
        self._rng = random.Random(seed)  # noqa: S311  (a seed repeats the stalls)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)
        self._accepting: list[asyncio.Task[None]] = []
        self.links: dict[str, Link] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def link(self, name: str, target: Callable[[], int]) -> Link:
        """Open a link. ``target`` returns the port behind it."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
        listener.setblocking(False)
        link = self.links[name] = Link(name, target, self._rng, listener)
        self._run(self._open(link))
        return link

    def change(self, name: str, fault: Fault) -> None:
        """Begin a fault of a link; ``""`` ends it."""
        self._run(self._change(self.links[name], fault))

    async def _open(self, link: Link) -> None:
        link.change("")
        self._accepting.append(asyncio.create_task(link.accept()))

    async def _change(self, link: Link, fault: Fault) -> None:
        link.change(fault)

    async def _close(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for link in self.links.values():
            link.listener.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
