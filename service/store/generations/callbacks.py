"""fal's callbacks: stored with their generation until a poll has judged them."""

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
from service.store.generations import records
from service.store.queues.due import read_entries
from service.store.redis.client import Redis, Script

_CALLBACK: Final = Script("callback")
_RECORD: Final = TypeAdapter(Callback)

Reception = Literal["accepted", "duplicate", "ended", "paid_and_lost", "unknown"]
"""Result of a callback. ``paid_and_lost``: fal reports the video of a generation that was given up."""

_GIVEN_UP: Final = f" {' '.join(sorted(GIVEN_UP))} "


@dataclass(frozen=True, slots=True)
class Received:
    """Result of a callback, and the work queues that have something to do since."""

    reception: Reception
    nudges: tuple[WorkQueue, ...] = ()


class CallbackStore:
    """Stored callbacks."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def receive(
        self, generation_id: str, token: str, callback: Callback, *, now: datetime, succeeded: bool = True
    ) -> Received:
        """Store a callback and make its generation due for a poll.

        Nothing changes if the generation has ended, or if the token is not the generation's. ``succeeded``: the
        callback reports a video; it is then stored for a given-up generation too.
        """
        reception, nudge = await self._redis.run(
            _CALLBACK,
            {
                "generation": keys.generation(generation_id),
                "due_poll": keys.due(WorkQueue.POLL),
                "nudged_poll": keys.nudged(WorkQueue.POLL),
                "paid_and_lost": keys.PAID_AND_LOST,
            },
            {
                "generation_id": generation_id,
                "token": token,
                "callback": dump(callback),
                "now_ms": ids.milliseconds(now),
                "reports_success": "1" if succeeded else "",
                "given_up_codes": _GIVEN_UP,
                "terminal_statuses": sorted(TERMINAL),
            },
        )
        return Received(reception.decode(), (WorkQueue.POLL,) if nudge else ())

    async def load(self, generation_id: str) -> tuple[Generation | None, Callback | None]:
        """Return a generation and its stored callback."""
        record, callback = await self._redis.execute("HMGET", keys.generation(generation_id), "d", "c")
        return (
            None if record is None else records.load(record),
            None if callback is None else load(callback),
        )

    async def read(self, generation_id: str) -> tuple[Generation | None, Callback | None]:
        """Return a generation and its stored callback, and mark the callback as read.

        For the poll that judges the callback: from here on the callback no longer fixes the time of the poll. A second
        callback between the two commands is marked as read too; the next poll reads that one.
        """
        g, callback = await self.load(generation_id)
        if callback is not None:
            await self._redis.execute("HDEL", keys.generation(generation_id), "u")
        return g, callback

    async def forget(self, generation_id: str) -> None:
        """Delete a callback that was judged. The end of a generation deletes its callback too."""
        await self._redis.execute("HDEL", keys.generation(generation_id), "c", "u")

    async def paid_and_lost(self, *, limit: int) -> tuple[list[tuple[str, datetime]], int]:
        """Return given-up generations whose video fal has reported or may have billed, since when, and their number."""
        pairs, count = await self._redis.gather(
            (("ZRANGE", keys.PAID_AND_LOST, 0, limit - 1, "WITHSCORES"), ("ZCARD", keys.PAID_AND_LOST))
        )
        return [(item.id, item.due_at) for item in read_entries(pairs)], int(count)


def dump(callback: Callback) -> bytes:
    """The record of a callback."""
    return _RECORD.dump_json(callback, exclude_defaults=True)


def load(record: bytes) -> Callback:
    """The callback of a record."""
    return _RECORD.validate_json(record)
