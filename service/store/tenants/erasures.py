"""Erasures: scripts begin and end them, so that a generation that is created in between is erased too."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

from service.domain import ids
from service.domain.erasure import Erasure, job_name
from service.domain.work_queue import WorkQueue
from service.store import keys
from service.store.redis.client import Redis, Script
from service.store.times import moment

_BEGIN: Final = Script("begin_erasure")
_END: Final = Script("end_erasure")

Begun = Literal["begun", "running", "unknown", "gone"]


class ErasureStore:
    """State of the erasures of end users."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def begin(self, tenant_id: str, pseudonym: str, *, now: datetime, continued_at: datetime) -> Begun:
        """Begin an erasure.

        ``continued_at``: when the sweep continues the erasure, unless it has ended by then.
        """
        reply: bytes = await self._redis.run(
            _BEGIN,
            {
                "erasure": keys.erasure(tenant_id, pseudonym),
                "end_user": keys.end_user(tenant_id, pseudonym),
                "end_user_generations": keys.generations_of_end_user(tenant_id, pseudonym),
                "tenant": keys.tenant(tenant_id),
                "due_sweep": keys.due(WorkQueue.SWEEP),
            },
            {
                "job_name": job_name(tenant_id, pseudonym),
                "now_ms": ids.milliseconds(now),
                "sweep_ms": ids.milliseconds(continued_at),
            },
        )
        results: dict[bytes, Begun] = {b"begun": "begun", b"running": "running", b"gone": "gone"}
        return results.get(reply, "unknown")

    async def end(self, tenant_id: str, pseudonym: str, *, now: datetime) -> bool:
        """End an erasure; False: a generation of the end user is left."""
        ended = await self._redis.run(
            _END,
            {
                "erasure": keys.erasure(tenant_id, pseudonym),
                "end_user": keys.end_user(tenant_id, pseudonym),
                "end_users": keys.end_users(tenant_id),
                "end_user_names": keys.end_user_names(tenant_id),
                "end_user_generations": keys.generations_of_end_user(tenant_id, pseudonym),
                "due_sweep": keys.due(WorkQueue.SWEEP),
            },
            {
                "job_name": job_name(tenant_id, pseudonym),
                "now_ms": ids.milliseconds(now),
                "retention_seconds": keys.ERASURE_RETENTION_SECONDS,
            },
        )
        return bool(ended)

    async def load(self, tenant_id: str, pseudonym: str) -> Erasure | None:
        """Return the running or last erasure; None: there was none."""
        names = ("state", "generations", "in_flight", "started", "finished", "deliveries", "videos")
        found, remaining, blocked = await self._redis.gather(
            (
                ("HMGET", keys.erasure(tenant_id, pseudonym), *names),
                ("ZCARD", keys.generations_of_end_user(tenant_id, pseudonym)),
                ("HEXISTS", keys.end_user(tenant_id, pseudonym), "blocked"),
            )
        )
        state, generations, in_flight, started, finished, deliveries, videos = found
        if state is None:
            return None
        return Erasure(
            tenant_id=tenant_id,
            pseudonym=pseudonym,
            state="done" if state == b"done" else "running",
            generations=int(generations or 0),
            in_flight=int(in_flight or 0),
            deliveries=int(deliveries or 0),
            videos=int(videos or 0),
            is_blocked=bool(blocked),
            remaining=remaining if state == b"running" else 0,
            started_at=ids.from_milliseconds(int(started)),
            finished_at=moment(finished),
        )

    async def generations(self, tenant_id: str, pseudonym: str, *, most: int) -> list[str]:
        """Return the oldest generations that are not erased, at most ``most``."""
        index = keys.generations_of_end_user(tenant_id, pseudonym)
        return [name.decode() for name in await self._redis.execute("ZRANGE", index, 0, most - 1)]

    async def detach(self, tenant_id: str, pseudonym: str, generation_ids: Sequence[str]) -> int:
        """Remove generations from the end user's index; return how many were in it."""
        if not generation_ids:
            return 0
        index = keys.generations_of_end_user(tenant_id, pseudonym)
        return int(await self._redis.execute("ZREM", index, *generation_ids))

    async def count(self, tenant_id: str, pseudonym: str, **counts: int) -> None:
        """Add to the counts of what was erased, and of generations that were in flight."""
        key = keys.erasure(tenant_id, pseudonym)
        await self._redis.gather(("HINCRBY", key, name, count) for name, count in counts.items())

    async def reschedule(self, tenant_id: str, pseudonym: str, until: datetime) -> None:
        """Set when the sweep continues the erasure, unless it has ended."""
        name = job_name(tenant_id, pseudonym)
        await self._redis.execute("ZADD", keys.due(WorkQueue.SWEEP), "XX", ids.milliseconds(until), name)
