"""Bulk jobs of the sweep: start, follow and stop them; collect what matches, then process it in bounded steps.

A job is durable. Its progress is written once for each step, so that it survives the death of a worker: the next one
repeats the step, whose acts change nothing the second time.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from typing import Final

from service.clock import Clock
from service.domain import ids
from service.domain.actor import Actor
from service.domain.bulk import MOST_ITEMS, BulkJob, BulkKind, BulkState, Selection, job_name, of_job
from service.domain.bulk_request import BulkPreviewBody, NewBulkJob
from service.domain.timestamps import in_range
from service.domain.trail import REDACTED
from service.domain.work_queue import WorkQueue
from service.errors import Conflict, FieldError, GatewayError, Invalid, NotFound, Unavailable
from service.observability import log
from service.store.bulk.bulk_jobs import BulkJobStore
from service.store.paging import Page
from service.store.queues.due import DueStore
from service.tasks import Nudger
from service.usecases.operations.bulk.kinds import Kind, Outcome
from service.usecases.operations.bulk.preview import Preview, Previews
from service.usecases.operations.bulk.selections import Selections
from service.usecases.operations.bulk.starters import Starters
from service.usecases.trail.recording import note, note_target, note_values
from service.usecases.trail.trail import Trail

#: One claim of the job works this long, so that other items of the sweep are processed too.
_CLAIM_SECONDS: Final = 5.0
#: Items of one step, and how many of them are processed concurrently.
STEP: Final = 50
_CONCURRENT: Final = 10
_UNKNOWN: Final = "There is no such bulk job. An ended one is stored for 30 days."


class BulkJobs:
    def __init__(
        self,
        store: BulkJobStore,
        kinds: Mapping[BulkKind, Kind],
        previews: Previews,
        selections: Selections,
        starters: Starters,
        due: DueStore,
        nudger: Nudger,
        trail: Trail,
        *,
        clock: Clock,
    ) -> None:
        self._store = store
        self._kinds = kinds
        self._previews = previews
        self._selections = selections
        self._starters = starters
        self._due = due
        self._nudger = nudger
        self._trail = trail
        self._clock = clock
        self._log = log.get(__name__)

    async def preview(self, body: BulkPreviewBody) -> Preview:
        """Count what a job over this filter would act on.

        Raises:
            Invalid: the filter needs a tenant, or a value is wrong.
            NotFound: there is no such tenant.

        """
        wanted = await self._selections.select(body.kind, body.filter)
        return await self._previews.preview(self._kinds[body.kind], wanted)

    async def start(self, body: NewBulkJob, actor: Actor) -> BulkJob:
        """Start a job over what a preview has shown, or return the one over the same filter that has not ended.

        Raises:
            Invalid: as ``preview``; or the preview is of the future.
            NotFound: there is no such tenant.
            Conflict: more items match than the preview has counted, or too many jobs have not ended.
            StoreFull: Redis accepts nothing new.

        """
        kind, wanted = body.kind, await self._selections.select(body.kind, body.filter)
        previewed_at = in_range(body.previewed_at, "/previewed_at") or body.previewed_at
        if previewed_at > self._clock():
            raise Invalid(FieldError("/previewed_at", "must not be in the future", "time"))
        found = await self._previews.again(self._kinds[kind], wanted, previewed_at=previewed_at)
        if found.matched > body.expected and not (body.more and found.more):
            raise Conflict(f"{found.matched} match now, more than the {body.expected} of the preview; preview again.")
        begun = await self._store.begin(
            kind, wanted, previewed_at=previewed_at, reason=body.reason, actor=actor, now=self._clock()
        )
        if begun.result == "busy":
            raise Conflict("Too many bulk jobs have not ended; start the next one when one of them has.")
        note_target(begun.job_id, tenant_id=wanted.tenant_id)
        note(kind=kind.value, filter=_recorded(wanted), matched=found.matched, joined=begun.result == "joined")
        self._log.warning("bulk_job_started", job_id=begun.job_id, kind=kind.value, matched=found.matched)
        self._nudger.nudge_all((WorkQueue.SWEEP,))
        job = await self.get(begun.job_id)
        note_values(state=(None, job.state))
        return job

    async def get(self, job_id: str, *, tenant_id: str | None = None) -> BulkJob:
        """Return a job. ``tenant_id``: only one that this tenant has started. Raises NotFound."""
        job = await self._store.load(job_id) if ids.is_id(ids.BULK_JOB, job_id) else None
        if job is None or tenant_id not in (None, job.actor.tenant_id):
            raise NotFound(_UNKNOWN)
        return job

    async def page(self, *, limit: int, after: str | None, tenant_id: str | None = None) -> Page[BulkJob]:
        """Return a page of the jobs of operators, or of a tenant, the newest first."""
        return await self._store.page(limit=limit, after=after, tenant_id=tenant_id)

    async def stop(self, job_id: str, *, reason: str, tenant_id: str | None = None) -> BulkJob:
        """End a job before its next step. What it has done stays. An ended job does not change. Raises NotFound."""
        job = await self.get(job_id, tenant_id=tenant_id)
        note_target(job_id, tenant_id=job.selection.tenant_id)
        if await self._store.stop(job_id, reason, now=self._clock()):
            self._nudger.nudge_all((WorkQueue.SWEEP,))
        stopped = await self.get(job_id)
        note_values(state=(job.state, stopped.state), stop_reason=(job.stop_reason, stopped.stop_reason))
        return stopped

    async def continue_job(self, name: str) -> None:
        """Continue a job of the sweep for ``_CLAIM_SECONDS``. The rest is due again at once."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _CLAIM_SECONDS
        while await self.continue_step(of_job(name) or ""):
            if loop.time() >= deadline:
                await self._due.reschedule(WorkQueue.SWEEP, name, self._clock())
                return

    async def continue_step(self, job_id: str) -> bool:
        """Take one bounded step; False: the job has ended, and the audit trail has its end."""
        job = await self._store.load(job_id)
        if job is None or job.has_ended:
            await self._record_end(job_id, job)
            return False
        if job.stop_reason is not None:
            await self._end(job, BulkState.STOPPED, job.stop_reason)
        elif job.selection.tenant_id is not None and not await self._selections.exists(job.selection.tenant_id):
            await self._end(job, BulkState.STOPPED, "Its tenant was deleted.")
        elif (fault := await self._starters.fault(job.actor)) is not None:
            await self._end(job, BulkState.STOPPED, fault)
        elif job.state is BulkState.COLLECTING:
            await self._collect(job)
        elif items := await self._store.items(job, most=STEP):
            await self._process(job, items)
        else:
            more = job.matched >= MOST_ITEMS
            await self._end(job, BulkState.DONE, f"Limit of {MOST_ITEMS} items reached." if more else None)
        return True

    async def _collect(self, job: BulkJob) -> None:
        page = await self._kinds[job.kind].page(job.effective_selection, after=job.cursor)
        found = [item.id for item in page.items][: MOST_ITEMS - job.matched]
        after = page.after if job.matched + len(found) < MOST_ITEMS else None
        await self._store.collect(job, found, after=after)

    async def _process(self, job: BulkJob, items: list[str]) -> None:
        """Process the items of a step and count them. If Redis is unavailable, the step is repeated later."""
        turns = asyncio.Semaphore(_CONCURRENT)

        async def process(name: str) -> Outcome:
            async with turns:
                return await self._outcome(job, name)

        found = await asyncio.gather(*map(process, items), return_exceptions=True)
        for outcome in found:
            if isinstance(outcome, BaseException):
                raise outcome
        outcomes = Counter(found)
        await self._store.count(job, done=outcomes["done"], skipped=outcomes["skipped"], failed=outcomes["failed"])

    async def _outcome(self, job: BulkJob, name: str) -> Outcome:
        try:
            return await self._kinds[job.kind].act(job, name)
        except Unavailable:
            raise
        except GatewayError as error:
            self._log.warning("bulk_item_failed", job_id=job.id, item=name, error=error.code)
        except Exception:  # noqa: BLE001  (one item with a fault must not stop the others)
            self._log.exception("bulk_item_failed", job_id=job.id, item=name)
        return "failed"

    async def _end(self, job: BulkJob, state: BulkState, why: str | None) -> None:
        await self._store.end(job, state, note=why, now=self._clock())

    async def _record_end(self, job_id: str, job: BulkJob | None) -> None:
        """Record the end of a job in the audit trail, under its starter's name, and forget the work."""
        if job is not None:
            tenant_id, reason = job.selection.tenant_id, job.reason
            async with self._trail.act(
                job.actor, "end_bulk_job", target=job_id, tenant_id=tenant_id, reason=reason, is_counted=False
            ):
                note(state=job.state.value, matched=job.matched, done=job.done, skipped=job.skipped, failed=job.failed)
                note(why=job.note)
            self._log.warning("bulk_job_ended", job_id=job_id, state=job.state.value, done=job.done, failed=job.failed)
        await self._due.remove(WorkQueue.SWEEP, job_name(job_id))


def _recorded(wanted: Selection) -> str:
    """Return the conditions for the audit trail, without values of metadata: they can be data of a person."""
    found = wanted.to_dict()
    if "metadata" in found:
        found["metadata"] = [[name, REDACTED] for name, _ in found["metadata"]]
    return json.dumps(found, ensure_ascii=False)
