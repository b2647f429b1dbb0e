"""Erasures: begun and ended by scripts, so that a generation created in between is erased too."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

from service.domain import ids
from service.domain.erasure import Erasure, job_name
from service.domain.work_queue import WorkQueue
from service.store import keys
from service.store.redis.client import Redis, Script

_BEGIN: Final = Script("begin_erasure")
_END: Final = Script("end_erasure")

Begun = Literal["begun", "running", "unknown", "gone"]


class ErasureStore:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def begin(self, tenant_id: str, pseudonym: str, *, now: datetime, continued_at: datetime) -> Begun:
        """``continued_at``: when the sweep continues it, unless it has ended by then."""
        reply: bytes = await self._redis.run(
            _BEGIN,
            [
                keys.erasure(tenant_id, pseudonym),
                keys.end_user(tenant_id, pseudonym),
                keys.generations_of_end_user(tenant_id, pseudonym),
                keys.tenant(tenant_id),
                keys.due(WorkQueue.SWEEP),
            ],
            job_name(tenant_id, pseudonym),
            ids.milliseconds(now),
            ids.milliseconds(continued_at),
        )
        answers: dict[bytes, Begun] = {b"begun": "begun", b"running": "running", b"gone": "gone"}
        return answers.get(reply, "unknown")

    async def end(self, tenant_id: str, pseudonym: str, *, now: datetime) -> bool:
        """False when a generation of the end user is left."""
        ended = await self._redis.run(
            _END,
            [
                keys.erasure(tenant_id, pseudonym),
                keys.end_user(tenant_id, pseudonym),
                keys.generations_of_end_user(tenant_id, pseudonym),
                keys.due(WorkQueue.SWEEP),
            ],
            job_name(tenant_id, pseudonym),
            ids.milliseconds(now),
            keys.ERASURE_KEPT_SECONDS,
        )
        return bool(ended)

    async def load(self, tenant_id: str, pseudonym: str) -> Erasure | None:
        names = ("state", "generations", "in_flight", "started", "finished")
        found, remaining = await self._redis.gather(
            (
                ("HMGET", keys.erasure(tenant_id, pseudonym), *names),
                ("ZCARD", keys.generations_of_end_user(tenant_id, pseudonym)),
            )
        )
        state, generations, in_flight, started, finished = found
        if state is None:
            return None
        return Erasure(
            tenant_id=tenant_id,
            pseudonym=pseudonym,
            state="done" if state == b"done" else "running",
            generations=int(generations or 0),
            in_flight=int(in_flight or 0),
            remaining=remaining if state == b"running" else 0,
            started_at=ids.from_milliseconds(int(started)),
            finished_at=None if finished is None else ids.from_milliseconds(int(finished)),
        )

    async def generations(self, tenant_id: str, pseudonym: str, *, most: int) -> list[str]:
        """The oldest of those that are not erased."""
        index = keys.generations_of_end_user(tenant_id, pseudonym)
        return [name.decode() for name in await self._redis.execute("ZRANGE", index, 0, most - 1)]

    async def detach(self, tenant_id: str, pseudonym: str, generation_ids: Sequence[str]) -> int:
        """Take them out of the end user's index; how many were in it."""
        if not generation_ids:
            return 0
        index = keys.generations_of_end_user(tenant_id, pseudonym)
        return int(await self._redis.execute("ZREM", index, *generation_ids))

    async def count(self, tenant_id: str, pseudonym: str, *, generations: int, in_flight: int) -> None:
        key = keys.erasure(tenant_id, pseudonym)
        await self._redis.gather(
            (("HINCRBY", key, "generations", generations), ("HINCRBY", key, "in_flight", in_flight))
        )

    async def postpone(self, tenant_id: str, pseudonym: str, until: datetime) -> None:
        """The sweep continues it then; not one that has ended."""
        name = job_name(tenant_id, pseudonym)
        await self._redis.execute("ZADD", keys.due(WorkQueue.SWEEP), "XX", ids.milliseconds(until), name)
