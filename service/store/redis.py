"""One door to Redis for a whole event loop: what is asked while an exchange is under way leaves together in the next.

Thousands of coroutines then cost a few socket writes, and ``appendfsync always`` commits what they wrote as one group.
Nothing is ever sent twice: whether a lost exchange was carried out is for the caller's compare-and-set to find out.
"""

import asyncio
import contextlib
import hashlib
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Self

import hiredis
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    ClusterDownError,
    MasterDownError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from service import metrics
from service.errors import StoreUnavailable

Argument = str | bytes | int | float
_Asked = tuple[bytes, asyncio.Future[Any]]

#: Exchanges under way at a time: one is on the wire while the other's answers are read. More make smaller groups.
LANES: Final = 2
LARGEST_BATCH: Final = 256
#: A connection unused this long is looked at before it is trusted: the server may have gone since.
_TRUSTED_SECONDS: Final = 0.25
#: Refusals that say "not now", not "wrong question"; inside a script they come as text.
_NOT_NOW: Final = (OutOfMemoryError, ReadOnlyError, MasterDownError, ClusterDownError, TryAgainError)
_NOT_NOW_WORDS: Final = ("OOM ", "MISCONF", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS", "BUSY ")


_FOLDER: Final = Path(__file__).parent
_USES: Final = re.compile(r"^-- USES  (\w+)$", re.MULTILINE)


class Script:
    """A Lua file beside the store that calls it. Its header names KEYS, ARGV, what it returns, and parts it shares."""

    def __init__(self, name: str) -> None:
        self.name = name
        own = (_FOLDER / f"{name}.lua").read_text()
        self.text = "".join((_FOLDER / "parts" / f"{part}.lua").read_text() for part in _USES.findall(own)) + own
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


class Redis:
    """Commands in, answers out; raises StoreUnavailable when Redis is away or refuses writes."""

    def __init__(self, url: str, *, timeout: float) -> None:
        self.url = url
        self._timeout = timeout
        self._pool = ConnectionPool.from_url(
            url,
            protocol=2,
            socket_timeout=None,  # one asyncio.timeout around each exchange is cheaper than one per read and write
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
            client_name="seedance-gateway",
        )
        self._asked: deque[_Asked] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._lanes: list[asyncio.Task[None]] = []
        self._trouble = 0.0
        """When an exchange last broke: connections made before are looked at before they are used again."""

    async def __aenter__(self) -> Self:
        self._lanes = [asyncio.create_task(self._lane(), name=f"redis-{n}") for n in range(LANES)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for lane in self._lanes:
            lane.cancel()
        await asyncio.gather(*self._lanes, return_exceptions=True)
        await self._pool.disconnect()

    async def execute(self, *command: Argument) -> Any:
        """The answer to one command.

        Raises:
            StoreUnavailable: no answer, or a refusal that will pass. The command may have been carried out.

        """
        answer = asyncio.get_running_loop().create_future()
        # Packed here, where a word that cannot be sent raises at its caller and not in everybody's lane.
        packed = hiredis.pack_command(command)  # type: ignore[arg-type]  # its stub knows tuples of one word only
        self._asked.append((packed, answer))
        self._rouse()
        return await answer

    async def gather(self, commands: Iterable[tuple[Argument, ...]]) -> list[Any]:
        """The answers to several commands, asked together."""
        return await asyncio.gather(*(self.execute(*command) for command in commands))

    async def run(self, script: Script, keys: Sequence[str], *arguments: Argument) -> Any:
        try:
            return await self.execute("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except NoScriptError:  # a restarted server knows no scripts; EVAL teaches it
            return await self.execute("EVAL", script.text, len(keys), *keys, *arguments)

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
                metrics.STORE_BATCH.observe(len(batch))
                trusted = time.monotonic() - used <= _TRUSTED_SECONDS and used >= self._trouble
                await self._exchange(connection, batch, trusted=trusted)
                used = time.monotonic()
        finally:
            await connection.disconnect(nowait=True)

    async def _drop_if_stale(self, connection: AbstractConnection) -> None:
        try:
            stale = connection.is_connected and await connection.can_read()
        except (RedisError, OSError):
            stale = True
        if stale:
            await connection.disconnect(nowait=True)

    async def _exchange(self, connection: AbstractConnection, batch: list[_Asked], *, trusted: bool) -> None:
        """Send a batch, hand out the answers. A broken exchange fails all that is still unanswered."""
        try:
            async with asyncio.timeout(self._timeout):
                if not trusted:
                    await self._drop_if_stale(connection)
                await connection.connect()
                await connection.send_packed_command(b"".join(packed for packed, _ in batch), check_health=False)
                for _, answer in batch:
                    _settle(answer, await _reply(connection))
        except (RedisError, OSError, TimeoutError) as error:  # a refused handshake too: a lane must never end
            self._trouble = time.monotonic()
            await connection.disconnect(nowait=True)
            for _, answer in batch:
                _settle(answer, StoreUnavailable(f"The store did not answer ({type(error).__name__})."))
        except asyncio.CancelledError:
            for _, answer in batch:
                _settle(answer, StoreUnavailable("This process is stopping."))
            raise


async def _reply(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as refusal:
        if isinstance(refusal, _NOT_NOW) or any(word in str(refusal) for word in _NOT_NOW_WORDS):
            return StoreUnavailable("The store takes no writes at the moment.")
        return refusal


def _settle(answer: asyncio.Future[Any], value: Any) -> None:
    if answer.done():  # its caller has gone
        return
    if isinstance(value, Exception):
        answer.set_exception(value)
    else:
        answer.set_result(value)
