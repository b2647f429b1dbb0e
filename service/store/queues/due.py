"""Due sets: what waits, until when; claimed under a lease, so that a dead worker's work is due again.

An answer of a claim that is lost leaves entries leased to no work: they are due again when that lease ends. Claims and
renewals do not wait for replicas. A lease that a failover loses only means that its entry is due again, as if its
holder had died; each step of the work is a compare-and-set on the record's version, and does wait for replicas. A wait
here would be the greater harm: without replicas every claim would fail after it had leased what is due.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from service.domain import ids
from service.domain.work_queue import WorkQueue
from service.store import keys
from service.store.redis.client import Redis, Script

#: A hint has been sent to the broker. Scripts that want one set another value, where the flag is not set yet.
_SENT: Final = b"sent"
_CLAIM: Final = Script("claim")
_CLAIM_POLLS: Final = Script("claim_polls")


@dataclass(frozen=True, slots=True)
class Claimed:
    id: str
    due_at: datetime
    until: int = 0
    """ms when the lease ends that the claim wrote; the score of its entry."""
    lane: str = ""
    """Of a delivery: the name of its receiver's queue."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What was taken, and how many entries the due set has in all; ``more``: another claim may find something."""

    taken: list[Claimed]
    waiting: int
    more: bool = False


@dataclass(frozen=True, slots=True)
class Depth:
    """A due set as the metrics show it."""

    entries: int
    oldest: datetime | None


class DueStore:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def claim(self, drain: WorkQueue, *, now: datetime, most: int, lease: timedelta) -> Claim:
        until = ids.milliseconds(now + lease)
        reply = await self._redis.run(
            _CLAIM, [keys.due(drain), keys.nudged(drain)], ids.milliseconds(now), most, until, replicated=False
        )
        return _claim(reply, until)

    async def claim_polls(self, *, now: datetime, most: int, lease: timedelta, per_second: float) -> Claim:
        """The same of polls, all workers together within the account's polls per second."""
        until = ids.milliseconds(now + lease)
        reply = await self._redis.run(
            _CLAIM_POLLS,
            [keys.due(WorkQueue.POLL), keys.nudged(WorkQueue.POLL), keys.POLLS],
            ids.milliseconds(now),
            most,
            until,
            per_second,
            replicated=False,
        )
        return _claim(reply, until)

    async def flag_hint(self, drain: WorkQueue) -> bool:
        """Flag, until the next claim, that a hint of this drain is sent to the broker; False: one is there already."""
        before = await self._redis.execute("SET", keys.nudged(drain), _SENT, "GET", replicated=False)
        return bool(before != _SENT)

    async def drop(self, drain: WorkQueue, name: str) -> None:
        """For an entry whose record is gone."""
        await self._redis.execute("ZREM", keys.due(drain), name)

    async def put_off(self, drain: WorkQueue, name: str, until: datetime) -> None:
        """For an entry that nothing else moves."""
        await self._redis.execute("ZADD", keys.due(drain), "XX", ids.milliseconds(until), name)

    async def depths(self) -> dict[WorkQueue, Depth]:
        replies = await self._redis.gather(
            command
            for drain in WorkQueue
            for command in (("ZCARD", keys.due(drain)), ("ZRANGE", keys.due(drain), 0, 0, "WITHSCORES"))
        )
        return {
            drain: Depth(count, ids.from_milliseconds(int(float(oldest[1]))) if oldest else None)
            for drain, count, oldest in zip(WorkQueue, replies[::2], replies[1::2], strict=True)
        }


def _claim(reply: Sequence[bytes], until: int) -> Claim:
    waiting, *pairs = reply
    return Claim(claimed(pairs, until), int(waiting))


def claimed(pairs: Sequence[bytes], until: int = 0, lane: str = "") -> list[Claimed]:
    """Of ``[id, ms it was due, id, ms, ...]``."""
    return [
        Claimed(name.decode(), ids.from_milliseconds(int(float(score))), until, lane)
        for name, score in zip(pairs[::2], pairs[1::2], strict=True)
    ]
