"""Webhook deliveries: made by a generation's last move, attempted under a lease, kept for a while when done."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from pydantic import TypeAdapter

from service.domain import ids
from service.domain.drain import Drain
from service.domain.webhook import Delivery, DeliveryStatus
from service.store import keys
from service.store.redis import Redis, Script

_ATTEMPT: Final = Script("attempt")
_RECORD: Final = TypeAdapter(Delivery)


class DeliveryStore:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def load(self, delivery_id: str) -> Delivery | None:
        record = await self._redis.execute("HGET", keys.delivery(delivery_id), "d")
        return None if record is None else load(record)

    async def pending(self, delivery_ids: Sequence[str]) -> bool:
        """Whether one of them is still to be attempted."""
        found = [await self.load(name) for name in delivery_ids]
        return any(delivery is not None and delivery.status is DeliveryStatus.PENDING for delivery in found)

    async def delete(self, delivery_ids: Sequence[str]) -> None:
        for name in delivery_ids:
            await self._redis.execute("ZREM", keys.due(Drain.DELIVER), name)
            await self._redis.execute("DEL", keys.delivery(name))

    async def save_attempt(self, delivery: Delivery, *, retention: timedelta) -> bool:
        """Write down the newest attempt and what follows from it; False when another worker was first."""
        until = delivery.next_attempt_at
        won = await self._redis.run(
            _ATTEMPT,
            [keys.delivery(delivery.id), keys.due(Drain.DELIVER)],
            delivery.id,
            delivery.version - 1,
            dump(delivery),
            "" if until is None else ids.milliseconds(until),
            int(retention.total_seconds() * 1000),
        )
        return bool(won)


def dump(delivery: Delivery) -> bytes:
    return _RECORD.dump_json(delivery, exclude_defaults=True)


def load(record: bytes) -> Delivery:
    return _RECORD.validate_json(record)
