"""One door to Redis for a whole event loop: what is asked while an exchange is under way leaves together in the next.

Thousands of coroutines then cost a few socket writes, and ``appendfsync always`` commits what they wrote as one group.
Nothing is ever sent twice: whether a lost exchange was carried out is for the caller's compare-and-set to find out.
Where replicas must have what was written, an exchange with a write ends with ``WAIT``, and the answers of its writes
are given after that: what is told as done survives the loss of the master.

On a full Redis (``maxmemory``) a single command always fits, and so does each script whose header says so.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError, RedisError

from service.errors import StoreUnavailable
from service.observability import metrics
from service.store.redis.commands import GROWS, READS, name_of
from service.store.redis.connections import open_pool
from service.store.redis.memory import MemoryMonitor, MemoryPolicy, fields
from service.store.redis.replies import Demoted, read_reply
from service.store.redis.scripts import Argument, Arguments, Keys, Script

__all__ = ["Argument", "Redis", "Script"]

#: Packed, who waits for the answer, whether replicas must have what it wrote before that is given, and since when.
_Asked = tuple[bytes, asyncio.Future[Any], bool, float]

#: Exchanges under way at a time: one is on the wire while the other's answers are read. More make smaller groups.
LANES: Final = 2
LARGEST_BATCH: Final = 256
#: A connection unused this long is looked at before it is trusted: the server may have gone since.
_TRUSTED_SECONDS: Final = 0.25
#: Between an exchange that broke and the next of its lane: a server that loads its data, or is full of clients, would
#: be connected to a thousand times a second by each process, and each time uses up one of this machine's ports.
_PAUSE_SECONDS: Final = 0.05
#: Of the time an exchange may take, what replicas may use up.
_REPLICAS_SHARE: Final = 0.5
_STOPPING: Final = "This process is stopping."

#: Carries out one write that a full Redis would refuse.
_ALWAYS: Final = Script("always")
_NONE: Final[Mapping[str, Argument]] = {}


class Redis:
    """Commands in, answers out; raises StoreUnavailable when Redis is away or refuses writes."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float,
        ca_file: Path | None = None,
        wait_replicas: int = 0,
        memory: MemoryPolicy = MemoryPolicy(),  # noqa: B008  (frozen)
    ) -> None:
        """``wait_replicas``: so many replicas must have a write before it is answered."""
        self.url = url
        self.memory = MemoryMonitor(self._read_memory, memory)
        self._timeout = timeout
        self._replicas = wait_replicas
        self._wait = hiredis.pack_command(("WAIT", wait_replicas, int(timeout * _REPLICAS_SHARE * 1000)))  # type: ignore[arg-type]
        self._pool, self._sentinels = open_pool(url, timeout=timeout, ca_file=ca_file)
        self._asked: deque[_Asked] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._lanes: list[asyncio.Task[None]] = []
        self._trouble = 0.0
        """When an exchange last broke: connections made before are looked at before they are used again."""

    async def __aenter__(self) -> Self:
        self._lanes = [asyncio.create_task(self._lane(), name=f"redis-{n}") for n in range(LANES)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.memory.close()
        for lane in self._lanes:
            lane.cancel()
        await asyncio.gather(*self._lanes, return_exceptions=True)
        _fail(self._asked, _STOPPING)
        await self._pool.disconnect()
        if self._sentinels is not None:
            for sentinel in self._sentinels.sentinels:
                await sentinel.aclose()

    async def execute(self, *command: Argument, replicated: bool = True) -> Any:
        """The answer to one command; to a write, once as many replicas as are wanted have it.

        ``replicated`` False: a write that may be lost with the master waits for no replica.

        Raises:
            StoreUnavailable: no answer, or a refusal that will pass. The command may have been carried out.

        """
        return await self._send(command, replicated=replicated)

    async def gather(self, commands: Iterable[tuple[Argument, ...]], *, replicated: bool = True) -> list[Any]:
        """The answers to several commands, asked together. They are carried out in no certain order."""
        return await asyncio.gather(*(self._send(command, replicated=replicated) for command in commands))

    async def run(self, script: Script, keys: Keys, arguments: Arguments = _NONE, *, replicated: bool = True) -> Any:
        """Run a script with the keys and arguments that its header declares; return its reply.

        The reply comes once enough replicas have what the script wrote.

        Raises:
            TypeError: the names differ from the declared ones.
            StoreUnavailable: as for ``execute``, or too few replicas. The script may have run.

        """
        return await self._run(script, script.pack(keys, arguments), replicated=replicated)

    async def read(self, script: Script, keys: Keys, arguments: Arguments = _NONE) -> Any:
        """Run a script that changes nothing: it waits for no replica, and works without any."""
        return await self._run(script, script.pack(keys, arguments), replicated=False)

    def _send(self, command: tuple[Argument, ...], *, replicated: bool) -> Awaitable[Any]:
        if command[0] in READS:  # most are, and they are written in capitals
            return self._ask(command, replicated=False)
        name = name_of(command[0])
        if name in GROWS:
            first, key, *rest = command
            return self._run(_ALWAYS, (1, key, first, *rest), replicated=replicated)
        return self._ask(command, replicated=replicated and name not in READS)

    def _ask(self, command: tuple[Argument, ...], *, replicated: bool) -> asyncio.Future[Any]:
        answer = asyncio.get_running_loop().create_future()
        # Packed here, where a word that cannot be sent raises at its caller and not in everybody's lane.
        packed = hiredis.pack_command(command)  # type: ignore[arg-type]  # its stub knows tuples of one word only
        self._asked.append((packed, answer, replicated and self._replicas > 0, time.monotonic()))
        self._rouse()
        return answer

    async def _run(self, script: Script, packed: tuple[Argument, ...], *, replicated: bool) -> Any:
        try:
            return await self._ask(("EVALSHA", script.sha, *packed), replicated=replicated)
        except NoScriptError:  # a restarted server has no scripts; EVAL loads it
            return await self._ask(("EVAL", script.text, *packed), replicated=replicated)

    async def _read_memory(self) -> Mapping[str, str]:
        return fields(await self._ask(("INFO", "memory"), replicated=False))

    @contextlib.asynccontextmanager
    async def subscribed(self, channel: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The messages of a channel, over a connection of its own."""
        connection = self._new_connection()
        try:
            async with asyncio.timeout(self._timeout):
                await connection.connect()
                await connection.send_command("SUBSCRIBE", channel)
                await connection.read_response()
            yield self._messages(connection)
        except (RedisError, OSError, TimeoutError) as error:
            raise StoreUnavailable(f"The subscription was lost ({type(error).__name__}).") from error
        finally:
            await connection.disconnect(nowait=True)

    @staticmethod
    async def _messages(connection: AbstractConnection) -> AsyncIterator[bytes]:
        while True:
            # No answer is due here: silence is normal, a lost connection raises, keepalive finds a dead peer.
            message: Any = await connection.read_response(timeout=None)  # no socket timeout on a subscription
            yield message[2]

    def _new_connection(self) -> AbstractConnection:
        connection: AbstractConnection = self._pool.make_connection()
        return connection

    def _rouse(self) -> None:
        while self._idle:
            lane = self._idle.popleft()
            if not lane.done():
                lane.set_result(None)
                return

    async def _asked_for(self) -> None:
        while not self._asked:
            roused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._idle.append(roused)
            await roused

    async def _lane(self) -> None:
        connection, used = self._new_connection(), 0.0
        try:
            while True:
                await self._asked_for()
                batch = [self._asked.popleft() for _ in range(min(len(self._asked), LARGEST_BATCH))]
                metrics.REDIS_BATCH.observe(len(batch))
                trusted = time.monotonic() - used <= _TRUSTED_SECONDS and used >= self._trouble
                begun = time.monotonic()
                whole = await self._exchange(connection, batch, trusted=trusted)
                used = time.monotonic()
                metrics.REDIS_EXCHANGE_SECONDS.observe(used - begun)
                if not whole:
                    await asyncio.sleep(_PAUSE_SECONDS)
        finally:
            await connection.disconnect()  # TLS says goodbye; bounded by the connect timeout

    async def _drop_if_stale(self, connection: AbstractConnection) -> None:
        try:
            stale = connection.is_connected and await connection.can_read()
        except (RedisError, OSError):
            stale = True
        if stale:
            await connection.disconnect(nowait=True)

    async def _exchange(self, connection: AbstractConnection, batch: list[_Asked], *, trusted: bool) -> bool:
        """Send a batch, hand out the answers; whether it went to its end.

        A broken exchange fails all of it that is still unanswered, and who has waited for as long as one may take.
        """
        try:
            async with asyncio.timeout(self._timeout):
                if not trusted:
                    await self._drop_if_stale(connection)
                await connection.connect()
                await self._converse(connection, batch)
        except (RedisError, OSError, TimeoutError) as error:  # a refused handshake too: a lane must never end
            self._trouble = time.monotonic()
            await connection.disconnect(nowait=True)
            _fail([*batch, *self._overdue()], f"The store did not answer ({type(error).__name__}).")
            return False
        except asyncio.CancelledError:
            _fail(batch, _STOPPING)
            raise
        return True

    def _overdue(self) -> Iterator[_Asked]:
        """Else each would wait for as many exchanges to break as there are before it."""
        while self._asked and time.monotonic() - self._asked[0][3] >= self._timeout:
            yield self._asked.popleft()

    async def _converse(self, connection: AbstractConnection, batch: list[_Asked]) -> None:
        replicate = any(replicated for _, _, replicated, _ in batch)
        words = [packed for packed, *_ in batch]
        await connection.send_packed_command(b"".join([*words, self._wait] if replicate else words), check_health=False)
        held: list[tuple[asyncio.Future[Any], Any]] = []
        demoted = False
        for _, answer, replicated, _ in batch:
            reply = await read_reply(connection)
            demoted = demoted or isinstance(reply, Demoted)
            if replicated:
                held.append((answer, reply))
            else:
                _settle(answer, reply)
        if replicate and int(await connection.read_response()) < self._replicas:
            held = [(answer, StoreUnavailable("Too few replicas have what was written.")) for answer, _ in held]
        for answer, reply in held:
            _settle(answer, reply)
        if demoted:  # the next exchange asks anew who the master is
            await connection.disconnect(nowait=True)


def _fail(asked: Iterable[_Asked], why: str) -> None:
    for _, answer, *_ in asked:
        _settle(answer, StoreUnavailable(why))


def _settle(answer: asyncio.Future[Any], value: Any) -> None:
    if answer.done():  # its caller has gone
        return
    if isinstance(value, Exception):
        answer.set_exception(value)
    else:
        answer.set_result(value)
