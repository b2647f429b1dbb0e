"""The queues of the tenants: the dispatch decision, and the figures that a queue estimate needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pydantic_core import from_json

from service.domain import ids
from service.domain.dispatch_gate import Ramp
from service.domain.work_queue import WorkQueue
from service.store import keys
from service.store.queues.due import Claim, read_entries
from service.store.redis.client import Redis, Script

_CLAIM_SLOT: Final = Script("claim_slot")
#: While a probe is under way, the next one is sent after this time, for the case that the first one's worker died.
_PROBE: Final = timedelta(seconds=60)
#: Tenants with work that a queue estimate reads; more tenants change the estimate little.
_MOST_TENANTS: Final = 2000
#: Records that one command reads.
_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class QueueStats:
    """Figures of all tenants together that decide how long a generation is queued."""

    queued: int
    slots_used: int
    weights: int
    """Sum of the weights of the tenants that have work."""
    seconds: float | None
    """Mean time that the last jobs held their slot; None before the first job has ended."""


class QueueStore:
    """Queued generations, slots and unconfirmed generations."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def claim(self, *, now: datetime, most: int, lease: timedelta, slots: int, ramp: Ramp | None = None) -> Claim:
        """Claim queued generations, each with a slot of the account and one of its tenant.

        ``ramp``: limits of the submits under way and of unconfirmed generations; None: no limits.

        The claim does not wait for replicas, so a failover may lose it. A script is replicated as a whole, so the whole
        claim is lost: the generation is queued again and has no slots. Meanwhile its worker may go on to the intent.
        The intent is a compare-and-set, waits for replicas, removes the generation from the queue and the due set, and
        adds it to both sets of slots: nothing is lost, and nothing stays in the queue. If another worker claims the
        generation again before that, both write the intent from the same version, and one of them wins.
        """
        until = ids.milliseconds(now + lease)
        submit_timeout = timedelta() if ramp is None else ramp.submit_timeout
        waiting, more, *pairs = await self._redis.run(
            _CLAIM_SLOT,
            {
                "due_dispatch": keys.due(WorkQueue.DISPATCH),
                "nudged_dispatch": keys.nudged(WorkQueue.DISPATCH),
                "slots": keys.SLOTS,
                "claimed": keys.CLAIMED,
                **keys.DISPATCH_ORDER,
                "delayed": keys.DELAYED,
                "gate": keys.GATE,
                "submits_under_way": keys.SUBMITS_UNDER_WAY,
                "closed_gates": keys.CLOSED_GATES,
                "unconfirmed": keys.UNCONFIRMED,
            },
            {
                "now_ms": ids.milliseconds(now),
                "limit": most,
                "lease_end_ms": until,
                "slot_limit": slots,
                "tenant_prefix": keys.tenant(""),
                "generation_prefix": keys.generation(""),
                "next_probe_ms": ids.milliseconds(now + _PROBE),
                "first_window": "" if ramp is None else ramp.first,
                "largest_window": "" if ramp is None else ramp.most,
                "under_way_until_ms": ids.milliseconds(now + lease + submit_timeout),
                "unconfirmed_limit": slots if ramp is None else ramp.unconfirmed,
            },
            replicated=False,
        )
        return Claim(read_entries(pairs, until), waiting, more=bool(more))

    async def position(self, tenant_id: str, generation_id: str) -> int | None:
        """Return how many generations of its tenant are before it; None: it is not queued."""
        rank = await self._redis.execute("ZRANK", keys.queued_of_tenant(tenant_id), generation_id)
        return None if rank is None else int(rank)

    async def positions(self, tenant_id: str, generation_ids: Sequence[str]) -> list[int]:
        """Return the positions of several generations of a tenant; 0 also for one that is not queued."""
        key = keys.queued_of_tenant(tenant_id)
        ranks = await self._redis.gather(("ZRANK", key, name) for name in generation_ids)
        return [rank or 0 for rank in ranks]

    async def stats(self) -> QueueStats:
        """Return the figures of all tenants together."""
        queued, used, durations, tenants = await self._redis.gather(
            (
                ("ZCARD", keys.due(WorkQueue.DISPATCH)),
                ("SCARD", keys.SLOTS),
                ("LRANGE", keys.JOB_DURATIONS, 0, -1),
                ("ZRANGE", keys.ACTIVE_TENANTS, 0, _MOST_TENANTS - 1),
            )
        )
        names = [keys.tenant(name.decode()) for name in tenants]
        pages = await self._redis.gather(
            ("MGET", *names[start : start + _PAGE]) for start in range(0, len(names), _PAGE)
        )
        records = [record for page in pages for record in page]
        mean = sum(map(int, durations)) / len(durations) / 1000 if durations else None
        return QueueStats(queued, used, sum(_weight(record) for record in records), mean)

    async def unfinished(self) -> int:
        """Count the generations of all tenants that have not ended."""
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
        """Count the slots of the account in use."""
        return int(await self._redis.execute("SCARD", keys.SLOTS))

    async def tenant_slots_used(self, tenant_id: str) -> int:
        """Count the slots of one tenant in use."""
        return int(await self._redis.execute("SCARD", keys.slots_of_tenant(tenant_id)))

    async def unconfirmed(self, *, limit: int) -> list[tuple[str, datetime]]:
        """Return unconfirmed generations and the time of their submit, the oldest first."""
        pairs = await self._redis.execute("ZRANGE", keys.UNCONFIRMED, 0, limit - 1, "WITHSCORES")
        return [(item.id, item.due_at) for item in read_entries(pairs)]

    async def unconfirmed_count(self, *, before: datetime | None = None) -> int:
        """Count the unconfirmed generations. ``before``: only those that were submitted before this time."""
        if before is None:
            return int(await self._redis.execute("ZCARD", keys.UNCONFIRMED))
        return int(await self._redis.execute("ZCOUNT", keys.UNCONFIRMED, "-inf", f"({ids.milliseconds(before)}"))

    async def queued_count(self, tenant_id: str) -> int:
        """Count the queue of a tenant, without its delayed generations."""
        return int(await self._redis.execute("ZCARD", keys.queued_of_tenant(tenant_id)))


def _weight(record: bytes | None) -> int:
    return 1 if record is None else int(from_json(record)["limits"].get("weight", 1))
