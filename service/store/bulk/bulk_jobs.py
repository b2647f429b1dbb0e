"""Bulk jobs: records and progress. Each step is written only once, whatever workers repeat."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from pydantic import TypeAdapter

from service.domain import ids
from service.domain.actor import Actor
from service.domain.bulk import BulkJob, BulkKind, BulkState, Selection, job_name
from service.domain.work_queue import WorkQueue
from service.store import keys
from service.store.paging import Page
from service.store.redis.client import Redis, Script
from service.store.times import moment

_BEGIN: Final = Script("begin_bulk_job")
_COLLECT: Final = Script("collect_bulk_items")
_COUNT: Final = Script("count_bulk_items")
_END: Final = Script("end_bulk_job")
_STOP: Final = Script("stop_bulk_job")
_ACTOR: Final = TypeAdapter(Actor)
#: Jobs of one operator that have not ended.
MOST_OF_OPERATOR: Final = 10
_COUNTS: Final = ("matched", "processed", "done", "skipped", "failed")
_TEXTS: Final = (
    "kind",
    "filter",
    "previewed",
    "reason",
    "actor",
    "state",
    "cursor",
    "started",
    "finished",
    "note",
    "stop",
)


@dataclass(frozen=True, slots=True)
class _Share:
    """The jobs that a new one is counted with."""

    jobs: str
    """Key of the list."""
    running: str
    """Key of those that have not ended."""
    starter: str
    most_running: int
    """Of all starters."""
    most_of_starter: int
    most_listed: int
    """The newest. Older ones are deleted."""


@dataclass(frozen=True, slots=True)
class Begun:
    """``joined``: a job over the same filter has not ended. ``busy``: too many jobs have not ended."""

    result: Literal["begun", "joined", "busy"]
    job_id: str


class BulkJobStore:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def begin(
        self, kind: BulkKind, wanted: Selection, *, previewed_at: datetime, reason: str, actor: Actor, now: datetime
    ) -> Begun:
        """Begin a job, or join the one over the same selection.

        Raises:
            StoreFull: Redis accepts nothing new.

        """
        await self._redis.memory.demand_room(actor.tenant_id)
        share = _share_of(actor)
        job_id, text = ids.new(ids.BULK_JOB, now), wanted.to_json()
        fields = {
            "kind": kind.value,
            "filter": text,
            "previewed": ids.milliseconds(previewed_at),
            "reason": reason,
            "actor": _ACTOR.dump_json(actor),
        }
        result, name = await self._redis.run(
            _BEGIN,
            {
                "jobs": share.jobs,
                "running": share.running,
                "starters": keys.BULK_JOB_STARTERS,
                "job": keys.bulk_job(job_id),
                "due_sweep": keys.due(WorkQueue.SWEEP),
            },
            {
                "job_id": job_id,
                "job_name": job_name(job_id),
                "digest": hashlib.sha256(kind.value.encode() + b" " + text).hexdigest()[:32],
                "starter": share.starter,
                "most_running": share.most_running,
                "most_of_starter": share.most_of_starter,
                "most_listed": share.most_listed,
                "job_prefix": keys.bulk_job(""),
                "now_ms": ids.milliseconds(now),
                "retention_seconds": keys.BULK_JOB_RETENTION_SECONDS,
                "fields": [part for pair in fields.items() for part in pair],
            },
        )
        return Begun(result.decode(), name.decode())

    async def load(self, job_id: str) -> BulkJob | None:
        """Return a job; None: there is none."""
        found = await self._redis.execute("HMGET", keys.bulk_job(job_id), *_TEXTS, *_COUNTS)
        return _job(job_id, found)

    async def page(self, *, limit: int, after: str | None, tenant_id: str | None = None) -> Page[BulkJob]:
        """Return a page of the jobs of operators, or of a tenant, the newest first."""
        index = keys.BULK_JOBS if tenant_id is None else keys.bulk_jobs_of_tenant(tenant_id)
        upper = "+" if after is None else "(" + after
        entries = await self._redis.execute("ZREVRANGEBYLEX", index, upper, "-", "LIMIT", 0, limit + 1)
        names = [name.decode() for name in entries[:limit]]
        found = await self._redis.gather(("HMGET", keys.bulk_job(name), *_TEXTS, *_COUNTS) for name in names)
        jobs = [_job(name, fields) for name, fields in zip(names, found, strict=True)]
        return Page([job for job in jobs if job is not None], names[-1] if len(entries) > limit else None)

    async def collect(self, job: BulkJob, items: Sequence[str], *, after: str | None) -> bool:
        """Append the items of a step; False: another worker was first. ``after``: None ends the collection."""
        appended = await self._redis.run(
            _COLLECT,
            {"job": keys.bulk_job(job.id), "items": keys.items_of_bulk_job(job.id)},
            {"cursor": job.cursor or "", "after": after or "", "items": items},
        )
        return bool(appended)

    async def items(self, job: BulkJob, *, most: int) -> list[str]:
        """Return the items of the next step."""
        first = job.processed
        found = await self._redis.execute("LRANGE", keys.items_of_bulk_job(job.id), first, first + most - 1)
        return [name.decode() for name in found]

    async def count(self, job: BulkJob, *, done: int, skipped: int, failed: int) -> bool:
        """Count the outcomes of a step; False: another worker was first."""
        counted = await self._redis.run(
            _COUNT,
            {"job": keys.bulk_job(job.id)},
            {"processed": job.processed, "done": done, "skipped": skipped, "failed": failed},
        )
        return bool(counted)

    async def end(self, job: BulkJob, state: BulkState, *, note: str | None, now: datetime) -> bool:
        """End a job; False: it had ended before."""
        ended = await self._redis.run(
            _END,
            {
                "job": keys.bulk_job(job.id),
                "items": keys.items_of_bulk_job(job.id),
                "running": _share_of(job.actor).running,
                "starters": keys.BULK_JOB_STARTERS,
            },
            {
                "state": state.value,
                "note": note or "",
                "now_ms": ids.milliseconds(now),
                "retention_seconds": keys.BULK_JOB_RETENTION_SECONDS,
            },
        )
        return bool(ended)

    async def stop(self, job_id: str, reason: str, *, now: datetime) -> bool:
        """Ask for the end of a job; False: it has ended."""
        stopping = await self._redis.run(
            _STOP,
            {"job": keys.bulk_job(job_id), "due_sweep": keys.due(WorkQueue.SWEEP)},
            {"job_name": job_name(job_id), "reason": reason, "now_ms": ids.milliseconds(now)},
        )
        return bool(stopping)


def _share_of(actor: Actor) -> _Share:
    """Return the share of a starter: tenants take none from operators."""
    if actor.tenant_id is not None:
        return _Share(
            jobs=keys.bulk_jobs_of_tenant(actor.tenant_id),
            running=keys.RUNNING_BULK_JOBS_OF_TENANTS,
            starter=actor.tenant_id,
            most_running=200,
            most_of_starter=1,
            most_listed=20,
        )
    return _Share(
        jobs=keys.BULK_JOBS,
        running=keys.RUNNING_BULK_JOBS,
        starter=actor.id or actor.kind.value,
        most_running=2 * MOST_OF_OPERATOR,
        most_of_starter=MOST_OF_OPERATOR,
        most_listed=1_000,
    )


def _job(job_id: str, fields: Sequence[bytes | None]) -> BulkJob | None:
    texts = dict(zip(_TEXTS, fields, strict=False))
    kind, wanted, previewed, actor = texts["kind"], texts["filter"], texts["previewed"], texts["actor"]
    if kind is None or wanted is None or previewed is None or actor is None:
        return None
    return BulkJob(
        id=job_id,
        kind=(known := BulkKind(kind.decode())),
        selection=Selection.from_json(known, wanted),
        previewed_at=ids.from_milliseconds(int(previewed)),
        reason=_text(texts["reason"]) or "",
        actor=_ACTOR.validate_json(actor),
        state=BulkState((texts["state"] or b"").decode()),
        cursor=_text(texts["cursor"]) or None,
        started_at=ids.from_milliseconds(int(texts["started"] or 0)),
        finished_at=moment(texts["finished"]),
        note=_text(texts["note"]),
        stop_reason=_text(texts["stop"]),
        **{name: int(value or 0) for name, value in zip(_COUNTS, fields[len(_TEXTS) :], strict=True)},
    )


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()
