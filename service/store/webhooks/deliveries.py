"""Webhook deliveries: written with their cause, claimed lane by lane, attempted under a lease, forgotten as one."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from pydantic import TypeAdapter

from service.domain import ids
from service.domain.webhook import Delivery, DeliveryStatus
from service.domain.webhook_endpoint import Health, Patience
from service.domain.work_queue import WorkQueue
from service.store import keys
from service.store.queues.due import Claim, Claimed, DueStore, claimed
from service.store.redis.client import Argument, Redis, Script

_CLAIM_LANE: Final = Script("claim_lane")
_ATTEMPT: Final = Script("attempt")
_FORGET: Final = Script("forget_deliveries")
_RECORD: Final = TypeAdapter(Delivery)

#: How long a lane is leased between the two exchanges of a claim, if their process dies between them.
_LANE_LEASE: Final = timedelta(seconds=4)

HEALTHY: Final = Health()

Verdict = Literal["good", "bad", ""]
"""What an attempt says of its receiver; "": nothing, none was made."""


@dataclass(frozen=True, slots=True)
class Caps:
    """Attempts that may be under way at a time, over all workers."""

    receiver: int = 100
    failing: int = 10
    """Of a receiver that has failed ``failures`` times in a row: a trickle, until it answers again."""
    failures: int = 20
    tenant: int = 300


@dataclass(frozen=True, slots=True)
class Written:
    """Whether an attempt was the first to be written; ``more``: something else may go since it ended."""

    won: bool
    more: bool = False
    health: Health = HEALTHY


class DeliveryStore:
    def __init__(self, redis: Redis, *, patience: Patience = Patience()) -> None:  # noqa: B008  (frozen)
        self._redis = redis
        self._due = DueStore(redis)
        self._patience = patience

    async def load(self, delivery_id: str) -> Delivery | None:
        record = await self._redis.execute("HGET", keys.delivery(delivery_id), "d")
        return None if record is None else load(record)

    async def load_many(self, delivery_ids: Sequence[str]) -> list[Delivery | None]:
        records = await self._redis.gather(("HGET", keys.delivery(name), "d") for name in delivery_ids)
        return [None if record is None else load(record) for record in records]

    async def pending(self, delivery_ids: Sequence[str]) -> bool:
        """Whether one of them is still to be attempted."""
        found = await self.load_many(delivery_ids)
        return any(delivery is not None and delivery.status is DeliveryStatus.PENDING for delivery in found)

    async def delete(self, tenant_id: str, delivery_ids: Sequence[str]) -> None:
        """Forget them, those too that are pending."""
        await self._forget(tenant_id, delivery_ids, pending_too=True)

    async def purge(self, tenant_id: str, delivery_ids: Sequence[str]) -> bool:
        """Forget them; False when one is pending, as after a replay: then nothing was changed."""
        return await self._forget(tenant_id, delivery_ids, pending_too=False)

    async def _forget(self, tenant_id: str, delivery_ids: Sequence[str], *, pending_too: bool) -> bool:
        if not delivery_ids:
            return True
        found = await self.load_many(delivery_ids)
        lanes = ["" if delivery is None else delivery.lane for delivery in found]  # without a record it is in no lane
        forgotten = await self._redis.run(
            _FORGET,
            [
                keys.delivering(tenant_id),
                keys.deliveries_of_tenant(tenant_id),
                keys.dead_of_tenant(tenant_id),
                keys.due(WorkQueue.DELIVER),
                keys.due(WorkQueue.SWEEP),
                keys.lanes_held(tenant_id),
                keys.pending_of_tenant(tenant_id),
                *(
                    key
                    for name, lane in zip(delivery_ids, lanes, strict=True)
                    for key in (keys.delivery(name), keys.lane(lane), keys.leased_of_lane(lane))
                ),
            ],
            "1" if pending_too else "",
            *(argument for pair in zip(delivery_ids, lanes, strict=True) for argument in pair),
        )
        return bool(forgotten)

    async def claim(self, *, now: datetime, most: int, lease: timedelta, caps: Caps) -> Claim:
        """Deliveries that are due, from every lane its share."""
        lanes = await self._due.claim(WorkQueue.DELIVER, now=now, most=most, lease=_LANE_LEASE)
        share = max(1, most // max(1, len(lanes.taken)))
        found = await asyncio.gather(
            *(self._claim_lane(lane.id, now=now, most=share, lease=lease, caps=caps) for lane in lanes.taken)
        )
        more = any(more for more, _ in found) or len(lanes.taken) == most
        return Claim([item for _, taken in found for item in taken], lanes.waiting, more)

    async def _claim_lane(
        self, lane: str, *, now: datetime, most: int, lease: timedelta, caps: Caps
    ) -> tuple[bool, list[Claimed]]:
        tenant_id, until = lane.partition(":")[0], ids.milliseconds(now + lease)
        more, *pairs = await self._redis.run(
            _CLAIM_LANE,
            [
                keys.lane(lane),
                keys.leased_of_lane(lane),
                keys.health_of_lane(lane),
                keys.delivering(tenant_id),
                keys.lanes_held(tenant_id),
                keys.due(WorkQueue.DELIVER),
            ],
            lane,
            ids.milliseconds(now),
            most,
            until,
            caps.receiver,
            caps.failing,
            caps.failures,
            caps.tenant,
            replicated=False,
        )
        return bool(more), claimed(pairs, until, lane)

    async def save_attempt(self, delivery: Delivery, *, now: datetime, verdict: Verdict = "") -> Written:
        """Write down the newest attempt and what follows from it."""
        until, patience = delivery.next_attempt_at, self._patience
        won, more, since, percent, told = await self._redis.run(
            _ATTEMPT,
            [
                keys.delivery(delivery.id),
                keys.lane(delivery.lane),
                keys.leased_of_lane(delivery.lane),
                keys.health_of_lane(delivery.lane),
                keys.delivering(delivery.tenant_id),
                keys.lanes_held(delivery.tenant_id),
                keys.due(WorkQueue.DELIVER),
                keys.dead_of_tenant(delivery.tenant_id),
                keys.pending_of_tenant(delivery.tenant_id),
            ],
            delivery.id,
            delivery.version - 1,
            dump(delivery),
            "" if until is None else ids.milliseconds(until),
            delivery.lane,
            ids.milliseconds(now),
            "1" if delivery.status is DeliveryStatus.DEAD else "",
            verdict,
            _milliseconds(patience.total),
            _milliseconds(patience.apart),
            _milliseconds(patience.within),
        )
        streak = ids.from_milliseconds(int(since)) if since else None
        return Written(bool(won), bool(more), Health(streak, int(percent), int(told)))


def keys_of(tenant_id: str, events: Sequence[Delivery]) -> Iterator[str]:
    """The KEYS that the script part ``deliver`` wants."""
    yield keys.deliveries_of_tenant(tenant_id)
    yield keys.dead_of_tenant(tenant_id)
    yield keys.pending_of_tenant(tenant_id)
    for delivery in events:
        yield keys.delivery(delivery.id)
        yield keys.lane(delivery.lane)


def arguments_of(events: Sequence[Delivery]) -> Iterator[Argument]:
    """The ARGV that the script part ``deliver`` wants."""
    for delivery in events:
        yield delivery.id
        yield dump(delivery)
        yield delivery.lane if delivery.status is DeliveryStatus.PENDING else ""


def _milliseconds(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)


def dump(delivery: Delivery) -> bytes:
    return _RECORD.dump_json(delivery, exclude_defaults=True)


def load(record: bytes) -> Delivery:
    return _RECORD.validate_json(record)
