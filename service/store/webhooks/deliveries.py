"""Webhook deliveries: written with their cause, claimed by endpoint queue, attempted under a lease, purged.

The body of an event is stored once; the deliveries of the event refer to it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from pydantic import TypeAdapter

from service.domain import ids
from service.domain.webhook import Delivery, DeliveryStatus
from service.domain.webhook_endpoint import Health, Patience
from service.domain.work_queue import WorkQueue
from service.store import keys
from service.store.queues.due import Claim, Claimed, read_entries
from service.store.redis.client import Argument, Redis, Script
from service.store.times import milliseconds, moment, score

_CLAIM: Final = Script("claim_deliveries")
_ATTEMPT: Final = Script("attempt")
_FORGET: Final = Script("forget_deliveries")
_LOAD: Final = Script("load_delivery")
_RECORD: Final = TypeAdapter(Delivery)

#: A tenant that has its share of a process is considered again after this time, or when one of its attempts ends.
_PARK: Final = timedelta(milliseconds=200)

HEALTHY: Final = Health()

Verdict = Literal["good", "slow", "bad", ""]
"""What an attempt says about its endpoint; "slow": a success that took long; "": nothing, no request was made."""


@dataclass(frozen=True, slots=True)
class Caps:
    """Limits of concurrent attempts to one receiver, of all workers together."""

    receiver: int = 100
    unproven: int = 10
    """Of a receiver that is not proven: its last attempt failed or took long, or there was none."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What one process has left for attempts."""

    left: int
    unproven_left: int
    """The part of it for receivers that are not proven."""
    tenant_share: float = 1.0
    """A tenant may have attempts until they are this part of what is left."""
    under_way: Mapping[tuple[str, bool], int] = field(default_factory=dict)
    """Attempts in this process by tenant, and whether the receiver is proven."""


UNLIMITED: Final = Capacity(1_000_000, 1_000_000)


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
        self._patience = patience

    async def load(self, delivery_id: str) -> Delivery | None:
        """Return a delivery with its body; None: there is none."""
        record, body = await self._redis.read(
            _LOAD, {"delivery": keys.delivery(delivery_id)}, {"event_prefix": keys.event("")}
        )
        return replace(load(record), body=body.decode()) if record else None

    async def load_many(self, delivery_ids: Sequence[str]) -> list[Delivery | None]:
        """Return the deliveries of these ids, in order and without their bodies; None: there is none."""
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
                "tenant_deliveries": keys.deliveries_of_tenant(tenant_id),
                "dead_letters": keys.dead_letters_of_tenant(tenant_id),
                "all_dead_letters": keys.DEAD_LETTERS,
                "due_deliver": keys.due(WorkQueue.DELIVER),
                "due_sweep": keys.due(WorkQueue.SWEEP),
                "pending_deliveries": keys.pending_deliveries_of_tenant(tenant_id),
                "undelivered_tests": keys.undelivered_tests_of_tenant(tenant_id),
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
            {
                "with_pending": "1" if with_pending else "",
                "event_prefix": keys.event(""),
                "deliveries": [value for pair in pairs for value in pair],
            },
        )
        return bool(deleted)

    async def claim(
        self, *, now: datetime, most: int, lease: timedelta, caps: Caps, capacity: Capacity = UNLIMITED
    ) -> Claim:
        """Claim due deliveries, of every tenant and of each of its endpoint queues an equal share.

        ``capacity``: of the calling process.
        """
        until = ids.milliseconds(now + lease)
        more, waiting, *found = await self._redis.run(
            _CLAIM,
            {"due_deliver": keys.due(WorkQueue.DELIVER), "nudged_deliver": keys.nudged(WorkQueue.DELIVER)},
            {
                "now_ms": ids.milliseconds(now),
                "limit": most,
                "lease_end_ms": until,
                "receiver_limit": caps.receiver,
                "unproven_receiver_limit": caps.unproven,
                "tenant_share": capacity.tenant_share,
                "left": capacity.left,
                "unproven_left": capacity.unproven_left,
                "park_ms": milliseconds(_PARK),
                "under_way": [
                    value
                    for (tenant_id, proven), count in capacity.under_way.items()
                    for value in (f"{tenant_id}{'' if proven else keys.UNPROVEN}", count)
                ],
            },
            replicated=False,
        )
        return Claim(_read_claimed(found, until), waiting, bool(more))

    async def save_attempt(self, delivery: Delivery, *, now: datetime, verdict: Verdict = "") -> Written:
        """Write the newest attempt of a delivery, and its effects on the delivery's endpoint."""
        patience = self._patience
        won, more, since, percent, announced, failures = await self._redis.run(
            _ATTEMPT,
            {
                "delivery": keys.delivery(delivery.id),
                "endpoint_queue": keys.endpoint_queue(delivery.endpoint_queue),
                "endpoint_leases": keys.endpoint_leases(delivery.endpoint_queue),
                "endpoint_health": keys.endpoint_health(delivery.endpoint_queue),
                "due_deliver": keys.due(WorkQueue.DELIVER),
                "dead_letters": keys.dead_letters_of_tenant(delivery.tenant_id),
                "all_dead_letters": keys.DEAD_LETTERS,
                "failing_receivers": keys.FAILING_RECEIVERS,
                "pending_deliveries": keys.pending_deliveries_of_tenant(delivery.tenant_id),
                "undelivered_tests": keys.undelivered_tests_of_tenant(delivery.tenant_id),
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
        return Written(bool(won), bool(more), Health(moment(since), int(percent), int(announced), int(failures)))


def _read_claimed(found: Sequence[Any], until: int) -> list[Claimed]:
    """Read the deliveries of each endpoint queue: its name, whether its receiver is proven, their number, pairs."""
    taken: list[Claimed] = []
    start = 0
    while start < len(found):
        name, proven, count = found[start : start + 3]
        end = start + 3 + 2 * count
        taken += read_entries(found[start + 3 : end], until, name.decode(), is_proven=bool(proven))
        start = end
    return taken


def delivery_keys(tenant_id: str, events: Sequence[Delivery]) -> dict[str, str | list[str]]:
    """KEYS of the script part ``deliver``, except for the due set."""
    return {
        "tenant_deliveries": keys.deliveries_of_tenant(tenant_id),
        "dead_letters": keys.dead_letters_of_tenant(tenant_id),
        "all_dead_letters": keys.DEAD_LETTERS,
        "pending_deliveries": keys.pending_deliveries_of_tenant(tenant_id),
        "delivery_keys": [
            key
            for one, event_id, _ in _with_events(events)
            for key in (keys.delivery(one.id), keys.endpoint_queue(one.endpoint_queue), keys.event(event_id))
        ],
    }


def delivery_arguments(events: Sequence[Delivery]) -> list[Argument]:
    """ARGV of the script part ``deliver``."""
    return [
        value
        for one, event_id, body in _with_events(events)
        for value in (
            one.id,
            dump(one),
            one.endpoint_queue if one.status is DeliveryStatus.PENDING else "",
            event_id,
            body,
        )
    ]


def _with_events(events: Sequence[Delivery]) -> Iterator[tuple[Delivery, str, str]]:
    """Each delivery with the id of its event, and the body: "" if an earlier delivery of the event has it.

    Deliveries with the same body are one event. Its id is that of the first of them.
    """
    first: dict[str, str] = {}
    for one in events:
        event_id = first.setdefault(one.body, one.id)
        yield one, event_id, one.body if event_id == one.id else ""


def dump(delivery: Delivery) -> bytes:
    """The record of a delivery, without the body."""
    # The URL of an endpoint is stored in its encrypted record only.
    url = delivery.url if delivery.endpoint_id is None else ""
    return _RECORD.dump_json(replace(delivery, body="", url=url), exclude_defaults=True)


def load(record: bytes) -> Delivery:
    """The delivery of a record, without the body."""
    return _RECORD.validate_json(record)
