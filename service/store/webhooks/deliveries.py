"""Webhook deliveries: written with their cause, claimed by endpoint queue, attempted under a lease, purged."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from pydantic import TypeAdapter

from service.domain import ids
from service.domain.webhook import Delivery, DeliveryStatus
from service.domain.webhook_endpoint import Health, Patience
from service.domain.work_queue import WorkQueue
from service.store import keys
from service.store.queues.due import Claim, Claimed, DueStore, read_entries
from service.store.redis.client import Argument, Redis, Script
from service.store.times import milliseconds, moment, score

_CLAIM_ENDPOINT_QUEUE: Final = Script("claim_endpoint_queue")
_ATTEMPT: Final = Script("attempt")
_FORGET: Final = Script("forget_deliveries")
_RECORD: Final = TypeAdapter(Delivery)

#: Lease of an endpoint queue between the two exchanges of a claim, for the case that the process dies between them.
_QUEUE_LEASE: Final = timedelta(seconds=4)

HEALTHY: Final = Health()

Verdict = Literal["good", "bad", ""]
"""What an attempt says about its endpoint; "": nothing, no request was made."""


@dataclass(frozen=True, slots=True)
class Caps:
    """Limits of concurrent attempts, of all workers together."""

    receiver: int = 100
    failing: int = 10
    """Of an endpoint that has failed ``failures`` times in a row, until it answers again."""
    failures: int = 20
    tenant: int = 300


@dataclass(frozen=True, slots=True)
class Written:
    """Whether an attempt was written first; ``more``: another delivery may be claimed since it ended."""

    won: bool
    more: bool = False
    health: Health = HEALTHY


class DeliveryStore:
    """Deliveries: claims, attempts, deletion."""

    def __init__(self, redis: Redis, *, patience: Patience = Patience()) -> None:  # noqa: B008  (frozen)
        self._redis = redis
        self._due = DueStore(redis)
        self._patience = patience

    async def load(self, delivery_id: str) -> Delivery | None:
        """Return a delivery; None: there is none."""
        record = await self._redis.execute("HGET", keys.delivery(delivery_id), "d")
        return None if record is None else load(record)

    async def load_many(self, delivery_ids: Sequence[str]) -> list[Delivery | None]:
        """Return the deliveries of these ids, in order; None: there is none."""
        records = await self._redis.gather(("HGET", keys.delivery(name), "d") for name in delivery_ids)
        return [None if record is None else load(record) for record in records]

    async def pending(self, delivery_ids: Sequence[str]) -> bool:
        """Whether one of these deliveries is pending."""
        found = await self.load_many(delivery_ids)
        return any(delivery is not None and delivery.status is DeliveryStatus.PENDING for delivery in found)

    async def delete(self, tenant_id: str, delivery_ids: Sequence[str]) -> None:
        """Delete deliveries, pending ones too."""
        await self._forget(tenant_id, delivery_ids, with_pending=True)

    async def purge(self, tenant_id: str, delivery_ids: Sequence[str]) -> bool:
        """Delete deliveries; False: one is pending, for example after a replay, and nothing was changed."""
        return await self._forget(tenant_id, delivery_ids, with_pending=False)

    async def _forget(self, tenant_id: str, delivery_ids: Sequence[str], *, with_pending: bool) -> bool:
        if not delivery_ids:
            return True
        found = await self.load_many(delivery_ids)
        # A delivery without a record is in no queue.
        queues = ["" if delivery is None else delivery.endpoint_queue for delivery in found]
        pairs = list(zip(delivery_ids, queues, strict=True))
        deleted = await self._redis.run(
            _FORGET,
            {
                "tenant_leases": keys.delivery_leases_of_tenant(tenant_id),
                "tenant_deliveries": keys.deliveries_of_tenant(tenant_id),
                "dead_letters": keys.dead_letters_of_tenant(tenant_id),
                "due_deliver": keys.due(WorkQueue.DELIVER),
                "due_sweep": keys.due(WorkQueue.SWEEP),
                "waiting_queues": keys.waiting_queues_of_tenant(tenant_id),
                "pending_deliveries": keys.pending_deliveries_of_tenant(tenant_id),
                "delivery_keys": [
                    key
                    for name, queue_name in pairs
                    for key in (
                        keys.delivery(name),
                        keys.endpoint_queue(queue_name),
                        keys.endpoint_leases(queue_name),
                    )
                ],
            },
            {"with_pending": "1" if with_pending else "", "deliveries": [value for pair in pairs for value in pair]},
        )
        return bool(deleted)

    async def claim(self, *, now: datetime, most: int, lease: timedelta, caps: Caps) -> Claim:
        """Claim due deliveries: of every endpoint queue that is due, an equal share."""
        queues = await self._due.claim(WorkQueue.DELIVER, now=now, most=most, lease=_QUEUE_LEASE)
        share = max(1, most // max(1, len(queues.taken)))
        claims = await asyncio.gather(
            *(
                self._claim_endpoint_queue(queue.id, now=now, most=share, lease=lease, caps=caps)
                for queue in queues.taken
            )
        )
        more = any(more for more, _ in claims) or len(queues.taken) == most
        return Claim([item for _, items in claims for item in items], queues.waiting, more)

    async def _claim_endpoint_queue(
        self, queue_name: str, *, now: datetime, most: int, lease: timedelta, caps: Caps
    ) -> tuple[bool, list[Claimed]]:
        tenant_id, until = queue_name.partition(":")[0], ids.milliseconds(now + lease)
        more, *pairs = await self._redis.run(
            _CLAIM_ENDPOINT_QUEUE,
            {
                "endpoint_queue": keys.endpoint_queue(queue_name),
                "endpoint_leases": keys.endpoint_leases(queue_name),
                "endpoint_health": keys.endpoint_health(queue_name),
                "tenant_leases": keys.delivery_leases_of_tenant(tenant_id),
                "waiting_queues": keys.waiting_queues_of_tenant(tenant_id),
                "due_deliver": keys.due(WorkQueue.DELIVER),
            },
            {
                "queue_name": queue_name,
                "now_ms": ids.milliseconds(now),
                "limit": most,
                "lease_end_ms": until,
                "endpoint_limit": caps.receiver,
                "failing_endpoint_limit": caps.failing,
                "failing_after": caps.failures,
                "tenant_limit": caps.tenant,
            },
            replicated=False,
        )
        return bool(more), read_entries(pairs, until, queue_name)

    async def save_attempt(self, delivery: Delivery, *, now: datetime, verdict: Verdict = "") -> Written:
        """Write the newest attempt of a delivery, and its effects on the delivery's endpoint."""
        patience = self._patience
        won, more, since, percent, announced = await self._redis.run(
            _ATTEMPT,
            {
                "delivery": keys.delivery(delivery.id),
                "endpoint_queue": keys.endpoint_queue(delivery.endpoint_queue),
                "endpoint_leases": keys.endpoint_leases(delivery.endpoint_queue),
                "endpoint_health": keys.endpoint_health(delivery.endpoint_queue),
                "tenant_leases": keys.delivery_leases_of_tenant(delivery.tenant_id),
                "waiting_queues": keys.waiting_queues_of_tenant(delivery.tenant_id),
                "due_deliver": keys.due(WorkQueue.DELIVER),
                "dead_letters": keys.dead_letters_of_tenant(delivery.tenant_id),
                "pending_deliveries": keys.pending_deliveries_of_tenant(delivery.tenant_id),
            },
            {
                "delivery_id": delivery.id,
                "version": delivery.version - 1,
                "record": dump(delivery),
                "next_ms": score(delivery.next_attempt_at),
                "queue_name": delivery.endpoint_queue,
                "now_ms": ids.milliseconds(now),
                "is_dead": "1" if delivery.status is DeliveryStatus.DEAD else "",
                "verdict": verdict,
                "disable_after_ms": milliseconds(patience.total),
                "least_span_ms": milliseconds(patience.apart),
                "largest_span_ms": milliseconds(patience.within),
            },
        )
        return Written(bool(won), bool(more), Health(moment(since), int(percent), int(announced)))


def delivery_keys(tenant_id: str, events: Sequence[Delivery]) -> dict[str, str | list[str]]:
    """KEYS of the script part ``deliver``, except for the due set."""
    return {
        "tenant_deliveries": keys.deliveries_of_tenant(tenant_id),
        "dead_letters": keys.dead_letters_of_tenant(tenant_id),
        "pending_deliveries": keys.pending_deliveries_of_tenant(tenant_id),
        "delivery_keys": [
            key for event in events for key in (keys.delivery(event.id), keys.endpoint_queue(event.endpoint_queue))
        ],
    }


def delivery_arguments(events: Sequence[Delivery]) -> list[Argument]:
    """ARGV of the script part ``deliver``."""
    return [
        value
        for event in events
        for value in (event.id, dump(event), event.endpoint_queue if event.status is DeliveryStatus.PENDING else "")
    ]


def dump(delivery: Delivery) -> bytes:
    """The record of a delivery."""
    return _RECORD.dump_json(delivery, exclude_defaults=True)


def load(record: bytes) -> Delivery:
    """The delivery of a record."""
    return _RECORD.validate_json(record)
