"""End users: the way back from a pseudonym, refusals, blocks."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from service.domain.generation_view import rfc3339
from service.store import keys
from service.store.keys import KEPT_SECONDS
from service.store.redis.client import Redis, Script

_BLOCK: Final = Script("block_end_user")


@dataclass(frozen=True, slots=True)
class EndUserRecord:
    pseudonym: str
    end_user_id: str | None
    refusals: int
    """Generations that fal's policy refused."""
    blocked_at: str | None


class EndUserStore:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def load(self, tenant_id: str, pseudonym: str) -> EndUserRecord:
        """What is known; nothing of an end user that never came."""
        end_user_id, refusals, blocked = await self._redis.execute(
            "HMGET", keys.end_user(tenant_id, pseudonym), "id", "refusals", "blocked"
        )
        return EndUserRecord(
            pseudonym,
            None if end_user_id is None else end_user_id.decode(),
            int(refusals or 0),
            None if blocked is None else blocked.decode(),
        )

    async def block(self, tenant_id: str, pseudonym: str, now: datetime) -> bool:
        """Until it is unblocked: the record no longer expires. False when the tenant was deleted."""
        names = [keys.end_user(tenant_id, pseudonym), keys.tenant(tenant_id)]
        return bool(await self._redis.run(_BLOCK, names, rfc3339(now)))

    async def unblock(self, tenant_id: str, pseudonym: str) -> None:
        name = keys.end_user(tenant_id, pseudonym)
        await self._redis.gather((("HDEL", name, "blocked"), ("EXPIRE", name, KEPT_SECONDS)))

    async def forget(self, tenant_id: str, pseudonym: str) -> None:
        """The name and the refusals; a block stays, it names nobody."""
        await self._redis.execute("HDEL", keys.end_user(tenant_id, pseudonym), "id", "refusals")
