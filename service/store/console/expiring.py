"""Small values that expire, also on a full Redis."""

from datetime import timedelta
from typing import Final

from service.store.redis.client import Redis, Script
from service.store.times import milliseconds

_SET: Final = Script("set_expiring")


async def set_expiring(
    redis: Redis, key: str, value: str | bytes, lifetime: timedelta, *, replicated: bool = True
) -> None:
    await redis.run(
        _SET, {"entry": key}, {"value": value, "lifetime_ms": milliseconds(lifetime)}, replicated=replicated
    )
