"""fal's callbacks: kept beside the generation they are about, until a poll has looked at them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from pydantic import TypeAdapter

from service.domain import ids
from service.domain.callback import Callback
from service.domain.drain import Drain
from service.domain.generation import TERMINAL, Generation
from service.store import generations, keys
from service.store.redis import Redis, Script

_CALLBACK: Final = Script("callback")
_RECORD: Final = TypeAdapter(Callback)

Reception = Literal["accepted", "duplicate", "ended", "unknown"]


@dataclass(frozen=True, slots=True)
class Received:
    reception: Reception
    nudges: tuple[Drain, ...] = ()


class CallbackStore:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def receive(self, generation_id: str, token: str, callback: Callback, *, now: datetime) -> Received:
        """Keep it and have its generation polled; nothing changes when that has ended, or the token is not its own."""
        reception, nudge = await self._redis.run(
            _CALLBACK,
            [keys.generation(generation_id), keys.due(Drain.POLL), keys.nudged(Drain.POLL)],
            generation_id,
            token,
            dump(callback),
            ids.milliseconds(now),
            *sorted(TERMINAL),
        )
        return Received(reception.decode(), (Drain.POLL,) if nudge else ())

    async def load(self, generation_id: str) -> tuple[Generation | None, Callback | None]:
        """A generation and the callback that waits to be looked at."""
        record, callback = await self._redis.execute("HMGET", keys.generation(generation_id), "d", "c")
        return (
            None if record is None else generations.load(record),
            None if callback is None else load(callback),
        )

    async def forget(self, generation_id: str) -> None:
        """It was looked at; the end of its generation forgets one too."""
        await self._redis.execute("HDEL", keys.generation(generation_id), "c")


def dump(callback: Callback) -> bytes:
    return _RECORD.dump_json(callback, exclude_defaults=True)


def load(record: bytes) -> Callback:
    return _RECORD.validate_json(record)
