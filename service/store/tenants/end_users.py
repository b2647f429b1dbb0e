"""End users: the name behind a pseudonym, refusals, blocks."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from service.domain.generation_view import rfc3339
from service.store import keys
from service.store.redis.client import Redis, Script

_BLOCK: Final = Script("block_end_user")
_FORGET: Final = Script("forget_end_user")


@dataclass(frozen=True, slots=True)
class EndUserRecord:
    pseudonym: str
    end_user_id: str | None
    refusals: int
    """Generations that fal refused by its content policy."""
    blocked_at: str | None
    block_reason: str | None


class EndUserStore:
    """Records of end users."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def load(self, tenant_id: str, pseudonym: str) -> EndUserRecord:
        """Return the record; it is empty for an end user that has never been named."""
        end_user_id, refusals, blocked, reason = await self._redis.execute(
            "HMGET", keys.end_user(tenant_id, pseudonym), "id", "refusals", "blocked", "block_reason"
        )
        return EndUserRecord(
            pseudonym, _text(end_user_id), int(refusals or 0), blocked_at=_text(blocked), block_reason=_text(reason)
        )

    async def block(self, tenant_id: str, pseudonym: str, now: datetime, reason: str | None = None) -> bool:
        """Block an end user until an unblock: the record no longer expires. False: the tenant was deleted."""
        blocked = await self._redis.run(
            _BLOCK,
            {
                "end_user": keys.end_user(tenant_id, pseudonym),
                "tenant": keys.tenant(tenant_id),
                "blocked_end_users": keys.blocked_end_users(tenant_id),
            },
            {"pseudonym": pseudonym, "blocked_at": rfc3339(now), "reason": reason or ""},
        )
        return bool(blocked)

    async def unblock(self, tenant_id: str, pseudonym: str) -> bool:
        """End a block; the record expires again. False: the tenant was deleted."""
        name = keys.end_user(tenant_id, pseudonym)
        exists, *_ = await self._redis.gather(
            (
                ("EXISTS", keys.tenant(tenant_id)),
                ("HDEL", name, "blocked", "block_reason"),
                ("ZREM", keys.blocked_end_users(tenant_id), pseudonym),
                ("EXPIRE", name, keys.MONEY_RETENTION_SECONDS),
            )
        )
        return bool(exists)

    async def forget(self, tenant_id: str, pseudonym: str) -> None:
        """Delete the name, the refusals and the reason of a block. The block itself stays: it contains no name."""
        await self._redis.run(
            _FORGET,
            {
                "end_user": keys.end_user(tenant_id, pseudonym),
                "end_users": keys.end_users(tenant_id),
                "end_user_names": keys.end_user_names(tenant_id),
            },
            {},
        )


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()
