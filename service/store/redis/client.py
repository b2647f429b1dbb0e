"""The Redis client of an event loop: commands that arrive during an exchange are sent together in the next one.

An exchange is one batch of commands and their replies on one connection. Thousands of coroutines then cost a few socket
writes, and ``appendfsync always`` commits their writes as one group. No command is sent twice: the caller's
compare-and-set finds out whether a lost exchange was carried out. If replicas must have every write, an exchange with a
write ends with ``WAIT``, and the replies to its writes are returned after that: a write that was returned survives the
loss of the master.

On a full Redis (``maxmemory``) every single command fits, and every script whose header says so.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError, RedisError

from service.errors import StoreUnavailable
from service.observability import metrics
from service.observability.causes import cause
from service.observability.outages import OutageLog
from service.store.keys import STORED_BYTES
from service.store.redis.commands import GROWS, READS, name_of
from service.store.redis.connections import open_pool
from service.store.redis.memory import MemoryMonitor, MemoryPolicy, fields
from service.store.redis.replies import Demoted, read_reply
from service.store.redis.scripts import Argument, Arguments, Keys, Script

__all__ = ["Argument", "Redis", "Script"]

#: A packed command, the future of its reply, whether replicas must have its write before the reply is returned, and the
#: time at which it arrived.
_Request = tuple[bytes, asyncio.Future[Any], bool, float]

#: Concurrent exchanges: one is on the wire while the replies of the other are read. More would make smaller groups.
CONNECTIONS: Final = 2
LARGEST_BATCH: Final = 256
#: A connection that was not used for this long is checked before its next use: the server may have closed it.
_TRUSTED_SECONDS: Final = 0.25
#: Pause after a failed exchange. Without it each process would connect a thousand times a second to a server that loads
#: its data or has reached its limit of clients, and each connection uses up a port of this machine.
_PAUSE_SECONDS: Final = 0.05
#: Share of the time of an exchange that replicas may use.
_REPLICAS_SHARE: Final = 0.5
#: Tenants whose stored bytes admission knows.
_LARGEST: Final = 100
_STOPPING: Final = "This process is stopping."

#: Sends one write that a full Redis would refuse.
_ALWAYS: Final = Script("always")
_NONE: Final[Mapping[str, Argument]] = {}


class Redis:
    """Sends commands and scripts; raises StoreUnavailable if Redis is unavailable or refuses writes."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float,
        connections: int = CONNECTIONS,
        ca_file: Path | None = None,
        wait_replicas: int = 0,
        memory: MemoryPolicy = MemoryPolicy(),  # noqa: B008  (frozen)
    ) -> None:
        """``timeout``: seconds of one exchange. ``wait_replicas``: replicas that must have a write before its reply."""
        self.url = url
        self.memory = MemoryMonitor(self._read_memory, memory)
        self._timeout = timeout
        self._connections = connections
        self._replicas = wait_replicas
        self._wait = hiredis.pack_command(("WAIT", wait_replicas, int(timeout * _REPLICAS_SHARE * 1000)))  # type: ignore[arg-type]
        self._pool, self._sentinels = open_pool(url, timeout=timeout, ca_file=ca_file)
        self._requests: deque[_Request] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._tasks: list[asyncio.Task[None]] = []
        self._outage = OutageLog("redis")
        self._failed_at = 0.0
        """Time of the last failed exchange: older connections are checked before their next use."""

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._serve(), name=f"redis-{n}") for n in range(self._connections)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.memory.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        _fail(self._requests, _STOPPING)
        await self._pool.disconnect()
        if self._sentinels is not None:
            for sentinel in self._sentinels.sentinels:
                await sentinel.aclose()

    async def execute(self, *command: Argument, replicated: bool = True) -> Any:
        """Send one command and return its reply; the reply to a write comes once enough replicas have the write.

        ``replicated`` False: a write that may be lost with the master waits for no replica.

        Raises:
            StoreUnavailable: no reply, or a temporary refusal. The command may have been carried out.

        """
        return await self._send(command, replicated=replicated)

    async def gather(self, commands: Iterable[tuple[Argument, ...]], *, replicated: bool = True) -> list[Any]:
        """Send several commands together and return their replies. Redis may carry them out in any order."""
        replies = [asyncio.ensure_future(self._send(command, replicated=replicated)) for command in commands]
        # Replies of an exchange arrive together: the first wait is the only one. ``asyncio.gather`` would call back for
        # each reply and wait for one more iteration of the loop, a quarter of the time of a read.
        try:
            for reply in replies:
                with contextlib.suppress(Exception):  # a failed reply must not leave the exceptions of others unread
                    await reply
        finally:
            for reply in replies:
                reply.cancel()  # runs on only if the caller was canceled
        return [reply.result() for reply in replies]

    async def get_many(self, names: Iterable[str]) -> list[bytes | None]:
        """Return the strings of these keys, in order, with one command; None: there is none."""
        wanted = list(names)
        return list(await self.execute("MGET", *wanted)) if wanted else []

    def run(
        self, script: Script, keys: Keys, arguments: Arguments = _NONE, *, replicated: bool = True
    ) -> Coroutine[Any, Any, Any]:
        """Run a script with the keys and arguments that its header declares; return its reply.

        The reply comes once enough replicas have what the script wrote.

        Raises:
            TypeError: the names differ from the declared ones.
            StoreUnavailable: as for ``execute``, or too few replicas. The script may have run.

        """
        return self._run(script, script.pack(keys, arguments), replicated=replicated)

    def read(self, script: Script, keys: Keys, arguments: Arguments = _NONE) -> Coroutine[Any, Any, Any]:
        """Run a script that changes nothing: it waits for no replica, and works without any."""
        return self._run(script, script.pack(keys, arguments), replicated=False)

    def _send(self, command: tuple[Argument, ...], *, replicated: bool) -> Awaitable[Any]:
        if command[0] in READS:  # most commands, written in capitals
            return self._enqueue(command, replicated=False)
        name = name_of(command[0])
        if name in GROWS:
            first, key, *rest = command
            return self._run(_ALWAYS, (1, key, first, *rest), replicated=replicated)
        return self._enqueue(command, replicated=replicated and name not in READS)

    def _enqueue(self, command: tuple[Argument, ...], *, replicated: bool) -> asyncio.Future[Any]:
        reply = asyncio.get_running_loop().create_future()
        # Packed here: an argument that cannot be packed raises at its caller and does not break a shared exchange.
        packed = hiredis.pack_command(command)  # type: ignore[arg-type]  # its stub has tuples of one element only
        self._requests.append((packed, reply, replicated and self._replicas > 0, time.monotonic()))
        self._wake_up()
        return reply

    async def _run(self, script: Script, packed: tuple[Argument, ...], *, replicated: bool) -> Any:
        try:
            return await self._enqueue(("EVALSHA", script.sha, *packed), replicated=replicated)
        except NoScriptError:  # a restarted server has no scripts; EVAL loads it
            return await self._enqueue(("EVAL", script.text, *packed), replicated=replicated)

    async def _read_memory(self) -> Mapping[str, str]:
        """Read the memory, and in the same exchange the tenants that store most."""
        info, found = await asyncio.gather(
            self._enqueue(("INFO", "memory"), replicated=False),
            self._enqueue(("ZREVRANGE", STORED_BYTES, 0, _LARGEST - 1, "WITHSCORES"), replicated=False),
        )
        pairs = zip(found[::2], found[1::2], strict=True)
        self.memory.note_largest({name.decode(): int(float(size)) for name, size in pairs})
        return fields(info)

    @contextlib.asynccontextmanager
    async def subscribed(self, channel: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Subscribe to a channel and iterate over its messages, on a separate connection."""
        connection = self._new_connection()
        try:
            async with asyncio.timeout(self._timeout):
                await connection.connect()
                await connection.send_command("SUBSCRIBE", channel)
                await connection.read_response()
            self._outage.succeeded()
            yield self._messages(connection)
        except (RedisError, OSError, TimeoutError) as error:
            self._outage.failed(error)
            raise StoreUnavailable("The subscription was lost.", is_outage=True, cause=cause(error)) from error
        finally:
            await connection.disconnect(nowait=True)

    @staticmethod
    async def _messages(connection: AbstractConnection) -> AsyncIterator[bytes]:
        while True:
            # Silence is normal here: a lost connection raises, and keepalive finds a dead peer.
            message: Any = await connection.read_response(timeout=None)  # no socket timeout on a subscription
            yield message[2]

    def _new_connection(self) -> AbstractConnection:
        connection: AbstractConnection = self._pool.make_connection()
        return connection

    def _wake_up(self) -> None:
        while self._idle:
            waiter = self._idle.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    async def _wait_for_requests(self) -> None:
        while not self._requests:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._idle.append(waiter)
            await waiter

    async def _serve(self) -> None:
        """Make one exchange after the other on one connection."""
        connection, used_at = self._new_connection(), 0.0
        try:
            while True:
                await self._wait_for_requests()
                batch = [self._requests.popleft() for _ in range(min(len(self._requests), LARGEST_BATCH))]
                metrics.REDIS_BATCH.observe(len(batch))
                trusted = time.monotonic() - used_at <= _TRUSTED_SECONDS and used_at >= self._failed_at
                begun_at = time.monotonic()
                completed = await self._exchange(connection, batch, trusted=trusted)
                used_at = time.monotonic()
                metrics.REDIS_EXCHANGE_SECONDS.observe(used_at - begun_at)
                if not completed:
                    await asyncio.sleep(_PAUSE_SECONDS)
        finally:
            await connection.disconnect()  # ends TLS properly; bounded by the connect timeout

    async def _drop_if_stale(self, connection: AbstractConnection) -> None:
        try:
            stale = connection.is_connected and await connection.can_read()
        except (RedisError, OSError):
            stale = True
        if stale:
            await connection.disconnect(nowait=True)

    async def _exchange(self, connection: AbstractConnection, batch: list[_Request], *, trusted: bool) -> bool:
        """Send a batch and distribute the replies; return whether the exchange was completed.

        A failed exchange fails its requests without a reply, and all requests that have waited for a whole timeout.
        """
        try:
            async with asyncio.timeout(self._timeout):
                if not trusted:
                    await self._drop_if_stale(connection)
                if not connection.is_connected:
                    await connection.connect()
                await self._send_batch(connection, batch)
        except (RedisError, OSError, TimeoutError) as error:  # a refused handshake too: the task must never end
            self._failed_at = time.monotonic()
            self._outage.failed(error)
            await connection.disconnect(nowait=True)
            _fail([*batch, *self._overdue()], "The store did not answer.", cause(error))
            return False
        except asyncio.CancelledError:
            _fail(batch, _STOPPING)
            raise
        if self._outage.is_open:
            self._outage.succeeded()
        return True

    def _overdue(self) -> Iterator[_Request]:
        """Requests that have waited for a whole timeout, which would otherwise wait for all exchanges before theirs."""
        while self._requests and time.monotonic() - self._requests[0][3] >= self._timeout:
            yield self._requests.popleft()

    async def _send_batch(self, connection: AbstractConnection, batch: list[_Request]) -> None:
        replicate = any(replicated for _, _, replicated, _ in batch)
        commands = [packed for packed, *_ in batch]
        sent = b"".join([*commands, self._wait] if replicate else commands)
        await connection.send_packed_command(sent, check_health=False)
        delayed: list[tuple[asyncio.Future[Any], Any]] = []
        demoted = False
        for _, future, replicated, _ in batch:
            reply = await read_reply(connection)
            demoted = demoted or isinstance(reply, Demoted)
            if replicated:
                delayed.append((future, reply))
            else:
                _resolve(future, reply)
        if replicate and int(await connection.read_response()) < self._replicas:
            delayed = [(future, StoreUnavailable("Too few replicas have the write.")) for future, _ in delayed]
        for future, reply in delayed:
            _resolve(future, reply)
        if demoted:  # the next exchange looks up the master again
            await connection.disconnect(nowait=True)


def _fail(requests: Iterable[_Request], reason: str, why: str | None = None) -> None:
    for _, future, *_ in requests:
        _resolve(future, StoreUnavailable(reason, is_outage=True, cause=why))


def _resolve(future: asyncio.Future[Any], value: Any) -> None:
    if future.done():  # its caller was cancelled
        return
    if isinstance(value, Exception):
        future.set_exception(value)
    else:
        future.set_result(value)
