"""fal's callbacks: kept beside the generation they are about, until a poll has looked at them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from pydantic import TypeAdapter

from service.domain import ids
from service.domain.callback import Callback
from service.domain.failure import GIVEN_UP
from service.domain.generation import Generation
from service.domain.status import TERMINAL
from service.domain.work_queue import WorkQueue
from service.store import keys
from service.store.generations import generations
from service.store.queues.due import claimed
from service.store.redis.client import Redis, Script

_CALLBACK: Final = Script("callback")
_RECORD: Final = TypeAdapter(Callback)

Reception = Literal["accepted", "duplicate", "ended", "paid_and_lost", "unknown"]
"""``paid_and_lost``: fal reports a video of a generation that was given up; kept until an operator revives it."""

_GIVEN_UP: Final = f" {' '.join(sorted(GIVEN_UP))} "


@dataclass(frozen=True, slots=True)
class Received:
    reception: Reception
    nudges: tuple[WorkQueue, ...] = ()


class CallbackStore:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def receive(
        self, generation_id: str, token: str, callback: Callback, *, now: datetime, succeeded: bool = True
    ) -> Received:
        """Keep it and have its generation polled; nothing changes when that has ended, or the token is not its own.

        ``succeeded``: it reports a video; then it is kept even for a generation that was given up.
        """
        reception, nudge = await self._redis.run(
            _CALLBACK,
            [keys.generation(generation_id), keys.due(WorkQueue.POLL), keys.nudged(WorkQueue.POLL), keys.PAID_AND_LOST],
            generation_id,
            token,
            dump(callback),
            ids.milliseconds(now),
            "1" if succeeded else "",
            _GIVEN_UP,
            *sorted(TERMINAL),
        )
        return Received(reception.decode(), (WorkQueue.POLL,) if nudge else ())

    async def load(self, generation_id: str) -> tuple[Generation | None, Callback | None]:
        """A generation and the callback that is stored for it."""
        record, callback = await self._redis.execute("HMGET", keys.generation(generation_id), "d", "c")
        return (
            None if record is None else generations.load(record),
            None if callback is None else load(callback),
        )

    async def read(self, generation_id: str) -> tuple[Generation | None, Callback | None]:
        """The same for the poll that judges the callback: from here on it no longer holds the poll's time.

        Another callback between the two commands would be marked read unseen; the next poll reads that one.
        """
        g, callback = await self.load(generation_id)
        if callback is not None:
            await self._redis.execute("HDEL", keys.generation(generation_id), "u")
        return g, callback

    async def forget(self, generation_id: str) -> None:
        """It was judged; the end of its generation forgets one too."""
        await self._redis.execute("HDEL", keys.generation(generation_id), "c", "u")

    async def paid_and_lost(self, *, limit: int) -> tuple[list[tuple[str, datetime]], int]:
        """Given-up generations of which fal reported or may have billed a video, and since when; and their count."""
        pairs, count = await self._redis.gather(
            (("ZRANGE", keys.PAID_AND_LOST, 0, limit - 1, "WITHSCORES"), ("ZCARD", keys.PAID_AND_LOST))
        )
        return [(item.id, item.due_at) for item in claimed(pairs)], int(count)


def dump(callback: Callback) -> bytes:
    return _RECORD.dump_json(callback, exclude_defaults=True)


def load(record: bytes) -> Callback:
    return _RECORD.validate_json(record)
