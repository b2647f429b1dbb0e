"""Due sets: entries that wait until a time, claimed under a lease, so that a dead worker's entries are due again.

If the reply to a claim is lost, its entries are leased although no worker processes them: they are due again when that
lease ends. Claims and renewals do not wait for replicas. If a failover loses a lease, its entry is due again, as if its
holder had died; each step of the work is a compare-and-set on the record's version, and does wait for replicas. Waiting
here would do more harm: without replicas every claim would fail after it had leased the entries.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from service.domain import ids
from service.domain.work_queue import WorkQueue
from service.store import keys
from service.store.redis.client import Redis, Script
from service.store.times import moment

#: A hint has been sent to the broker. Scripts that want a hint set another value, if the flag is not set yet.
_SENT: Final = b"sent"
_CLAIM: Final = Script("claim")
_CLAIM_POLLS: Final = Script("claim_polls")


@dataclass(frozen=True, slots=True)
class Claimed:
    """One claimed entry."""

    id: str
    due_at: datetime
    until: int = 0
    """End of the lease that the claim wrote, in ms: the score of the entry."""
    queue_name: str = ""
    """Of a delivery: the name of its endpoint queue."""
    is_proven: bool = False
    """Of a delivery: whether its receiver is proven."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Claimed entries, and the size of the due set; ``more``: another claim may find something."""

    taken: list[Claimed]
    waiting: int
    more: bool = False


@dataclass(frozen=True, slots=True)
class Depth:
    """Size and oldest time of a due set, for the metrics."""

    entries: int
    oldest: datetime | None


class DueStore:
    """The due sets of all work queues."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def claim(self, work_queue: WorkQueue, *, now: datetime, most: int, lease: timedelta) -> Claim:
        """Claim at most ``most`` due entries of a work queue for as long as ``lease``."""
        until = ids.milliseconds(now + lease)
        reply = await self._redis.run(
            _CLAIM,
            {"due": keys.due(work_queue), "nudged": keys.nudged(work_queue)},
            {"now_ms": ids.milliseconds(now), "limit": most, "lease_end_ms": until},
            replicated=False,
        )
        return _claim(reply, until)

    async def claim_polls(self, *, now: datetime, most: int, lease: timedelta, per_second: float) -> Claim:
        """Claim due polls; all workers together claim no more than ``per_second``."""
        until = ids.milliseconds(now + lease)
        reply = await self._redis.run(
            _CLAIM_POLLS,
            {
                "due_poll": keys.due(WorkQueue.POLL),
                "nudged_poll": keys.nudged(WorkQueue.POLL),
                "poll_budget": keys.POLL_BUDGET,
            },
            {"now_ms": ids.milliseconds(now), "limit": most, "lease_end_ms": until, "polls_per_second": per_second},
            replicated=False,
        )
        return _claim(reply, until)

    async def flag_hint(self, work_queue: WorkQueue) -> bool:
        """Flag, until the next claim, that a hint is sent to the broker; False: one is there already."""
        before = await self._redis.execute("SET", keys.nudged(work_queue), _SENT, "GET", replicated=False)
        return bool(before != _SENT)

    async def remove(self, work_queue: WorkQueue, name: str) -> None:
        """Remove an entry whose record does not exist any more."""
        await self._redis.execute("ZREM", keys.due(work_queue), name)

    async def reschedule(self, work_queue: WorkQueue, name: str, until: datetime) -> None:
        """Set the time of an entry that no other write moves."""
        await self._redis.execute("ZADD", keys.due(work_queue), "XX", ids.milliseconds(until), name)

    async def depths(self) -> dict[WorkQueue, Depth]:
        """Return size and oldest time of every work queue."""
        sets = {work_queue: [keys.due(work_queue)] for work_queue in WorkQueue}
        sets[WorkQueue.DELIVER].append(keys.due_of_deliveries(proven=False))
        return {work_queue: await self._depth(names) for work_queue, names in sets.items()}

    async def _depth(self, names: Sequence[str]) -> Depth:
        replies = await self._redis.gather(
            command for name in names for command in (("ZCARD", name), ("ZRANGE", name, 0, 0, "WITHSCORES"))
        )
        first = [oldest[1] for oldest in replies[1::2] if oldest]
        return Depth(sum(replies[::2]), moment(min(first, key=float)) if first else None)


def _claim(reply: Sequence[bytes], until: int) -> Claim:
    waiting, *pairs = reply
    return Claim(read_entries(pairs, until), int(waiting))


def read_entries(
    pairs: Sequence[bytes], until: int = 0, queue_name: str = "", *, is_proven: bool = False
) -> list[Claimed]:
    """Read ``[id, ms at which it was due, id, ms, ...]``."""
    return [
        Claimed(name.decode(), ids.from_milliseconds(int(float(score))), until, queue_name, is_proven)
        for name, score in zip(pairs[::2], pairs[1::2], strict=True)
    ]
