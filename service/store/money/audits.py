"""The audit as a job: its progress, and the findings of the last run."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from service.domain import ids
from service.domain.work_queue import WorkQueue
from service.store import keys
from service.store.redis.client import Redis, Script

_BEGIN: Final = Script("begin_audit")
#: Name of the audit in the due set of the sweep.
JOB: Final = "audit"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRun:
    """One run. ``found``: the findings as JSON, None while it is running. ``done`` of ``total`` in this ``step``."""

    state: Literal["running", "done"]
    started_at: datetime
    finished_at: datetime | None
    step: str | None
    done: int
    total: int
    found: bytes | None


class AuditStore:
    """State of the running or last audit."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def begin(self, now: datetime) -> bool:
        """Begin an audit; False: one is running already."""
        begun = await self._redis.run(
            _BEGIN,
            {"audit": keys.AUDIT, "due_sweep": keys.due(WorkQueue.SWEEP)},
            {"job_name": JOB, "now_ms": ids.milliseconds(now)},
        )
        return bool(begun)

    async def note(self, step: str, done: int, total: int) -> None:
        """Write the progress of the running audit."""
        await self._redis.execute("HSET", keys.AUDIT, "step", step, "done", done, "total", total)

    async def end(self, found: bytes, now: datetime) -> None:
        """Write the findings, as JSON."""
        await self._redis.gather(
            (
                ("HSET", keys.AUDIT, "state", "done", "finished", ids.milliseconds(now), "found", found),
                ("ZREM", keys.due(WorkQueue.SWEEP), JOB),
            )
        )

    async def load(self) -> AuditRun | None:
        """Return the running or last audit; None: there was none."""
        names = ("state", "started", "finished", "step", "done", "total", "found")
        state, started, finished, step, done, total, found = await self._redis.execute("HMGET", keys.AUDIT, *names)
        if state is None:
            return None
        return AuditRun(
            state="done" if state == b"done" else "running",
            started_at=ids.from_milliseconds(int(started)),
            finished_at=None if finished is None else ids.from_milliseconds(int(finished)),
            step=None if step is None else step.decode(),
            done=int(done or 0),
            total=int(total or 0),
            found=found,
        )
