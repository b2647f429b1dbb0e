"""The tenants' queues: who is dispatched next, and how long it may take."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pydantic_core import from_json

from service.domain import ids
from service.domain.dispatch_gate import Ramp
from service.domain.work_queue import WorkQueue
from service.store import keys
from service.store.queues.due import Claim, claimed
from service.store.redis.client import Redis, Script

_CLAIM_SLOT: Final = Script("claim_slot")
#: Once a probe of a held upstream is under way, the next goes after this long even if its worker died.
_PROBE: Final = timedelta(seconds=60)
#: Tenants with work that an outlook looks at; more change little in what it says.
_MOST_TENANTS: Final = 2000


@dataclass(frozen=True, slots=True)
class QueueStats:
    """What stands between a queued generation and its dispatch, for all tenants together."""

    queued: int
    slots_used: int
    weights: int
    """Of the tenants that have work, together."""
    seconds: float | None
    """A generation takes up its slot, by those that ended last; None before the first one."""


class QueueStore:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def claim(self, *, now: datetime, most: int, lease: timedelta, slots: int, ramp: Ramp | None = None) -> Claim:
        """Take queued generations, each with a slot of the account and one of its tenant.

        ``ramp``: limits of the submits under way and of unconfirmed generations; None: no limits.

        A failover may lose the claim, which does not wait for replicas. All of it is lost then, for a script is
        replicated as a whole: the generation is in its queue again and without slots. Its claimer may go on to the
        intent meanwhile. The intent is a compare-and-set, waits for replicas, takes the generation out of the queue and
        the due set, and adds it to both sets of slots: so nothing is lost or stays in the queue. If another worker
        claims the generation once more before that, both make the intent from the same version, and one of them wins.
        """
        until = ids.milliseconds(now + lease)
        waiting, more, *pairs = await self._redis.run(
            _CLAIM_SLOT,
            [
                keys.due(WorkQueue.DISPATCH),
                keys.nudged(WorkQueue.DISPATCH),
                keys.SLOTS,
                keys.CLAIMED,
                keys.FAIR,
                keys.RESTING,
                keys.PRESENT,
                keys.DELAYED,
                keys.GATE,
                keys.UNDER_WAY,
                keys.HELD,
                keys.UNCONFIRMED,
            ],
            ids.milliseconds(now),
            most,
            until,
            slots,
            keys.tenant(""),
            keys.generation(""),
            ids.milliseconds(now + _PROBE),
            "" if ramp is None else ramp.first,
            "" if ramp is None else ramp.most,
            ids.milliseconds(now + lease + (timedelta() if ramp is None else ramp.submit_timeout)),
            slots if ramp is None else ramp.unconfirmed,
            replicated=False,
        )
        return Claim(claimed(pairs, until), waiting, more=bool(more))

    async def position(self, tenant_id: str, generation_id: str) -> int | None:
        """How many of its tenant go before it; None: it is not in the queue (any more)."""
        rank = await self._redis.execute("ZRANK", keys.queued_of_tenant(tenant_id), generation_id)
        return None if rank is None else int(rank)

    async def line(self) -> QueueStats:
        queued, used, paces, names = await self._redis.gather(
            (
                ("ZCARD", keys.due(WorkQueue.DISPATCH)),
                ("SCARD", keys.SLOTS),
                ("LRANGE", keys.PACE, 0, -1),
                ("ZRANGE", keys.FAIR, 0, _MOST_TENANTS),
            )
        )
        records = await self._redis.execute("MGET", *(keys.tenant(name.decode()) for name in names)) if names else []
        mean = sum(map(int, paces)) / len(paces) / 1000 if paces else None
        return QueueStats(queued, used, sum(_weight(record) for record in records), mean)

    async def unfinished(self) -> int:
        """Generations of everybody that have not ended."""
        queued, used, polled, unconfirmed = await self._redis.gather(
            (
                ("ZCARD", keys.due(WorkQueue.DISPATCH)),
                ("SCARD", keys.SLOTS),
                ("ZCARD", keys.due(WorkQueue.POLL)),
                ("ZCARD", keys.UNCONFIRMED),
            )
        )
        return int(queued) + max(int(used), int(polled) + int(unconfirmed))  # a copy has no slot, a claim no poll

    async def slots_used(self) -> int:
        return int(await self._redis.execute("SCARD", keys.SLOTS))

    async def tenant_slots_used(self, tenant_id: str) -> int:
        return int(await self._redis.execute("SCARD", keys.slots_of_tenant(tenant_id)))

    async def unconfirmed(self, *, limit: int) -> list[tuple[str, datetime]]:
        """Ids of unconfirmed generations and when each was submitted, the oldest first."""
        pairs = await self._redis.execute("ZRANGE", keys.UNCONFIRMED, 0, limit - 1, "WITHSCORES")
        return [(item.id, item.due_at) for item in claimed(pairs)]

    async def unconfirmed_count(self) -> int:
        return int(await self._redis.execute("ZCARD", keys.UNCONFIRMED))


def _weight(record: bytes | None) -> int:
    return 1 if record is None else int(from_json(record)["limits"].get("weight", 1))
