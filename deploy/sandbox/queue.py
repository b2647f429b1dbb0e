"""fal's queue: jobs wait, run when a slot is free, complete.

Every waiting is a timer of the event loop (a heap already), so 50,000 jobs cost no task, and reading a state is free.
"""

import asyncio
import heapq
import logging
import math
import time
from collections.abc import Callable

from sandbox import endings
from sandbox import outcome as outcomes
from sandbox.job import Job, Status
from sandbox.outcome import Outcome
from sandbox.seedance import Seedance
from sandbox.settings import Settings

logger = logging.getLogger("sandbox")


class Queue:
    def __init__(self, settings: Settings, model: Seedance, completed: Callable[[Job], None]) -> None:
        self.jobs: dict[str, Job] = {}
        self.finished: list[Job] = []
        self.running = 0
        self.closed = False
        self._settings = settings
        self._model = model
        self._completed = completed
        self._waiting: list[tuple[bool, int, Job]] = []
        self._left = 0  # jobs that have left the queue; ticket minus this is a job's position
        self._work: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    @property
    def length(self) -> int:
        return len(self.jobs) - self._left

    def position(self, job: Job) -> int:
        return max(0, job.ticket - self._left)

    def has_free_slot(self) -> bool:
        return self.running < self._settings.concurrency

    def accept(self, job: Job, *, at_once: bool = False) -> None:
        job.ticket = len(self.jobs)
        job.write_constants("/response" if self._settings.response_suffix else "")
        self.jobs[job.request_id] = job
        if job.start_timeout is not None:
            self._later(job.start_timeout, self._miss_start, job)
        self._later(0 if at_once else self._queue_seconds(job), self._ripen, job)

    def cancel(self, job: Job) -> None:
        """Remove a queued job; stop a running one, unless its prompt makes the runner ignore cancels."""
        if not job.behaviour.cancellable or job.status is Status.COMPLETED:
            return
        self._complete(job, outcomes.cancelled(), quietly=True)

    def close(self) -> None:
        self.closed = True
        for task in self._work:
            task.cancel()
        for job in self.jobs.values():
            job.wake()

    def _later(self, seconds: float, step: Callable[[Job], None], job: Job) -> None:
        if seconds < math.inf:
            self._loop.call_later(seconds, self._take, step, job)

    def _take(self, step: Callable[[Job], None], job: Job) -> None:
        if not self.closed:
            step(job)

    def _queue_seconds(self, job: Job) -> float:
        wanted = job.behaviour.queue_seconds
        return self._settings.scaled(self._settings.queue_seconds) if wanted is None else wanted

    def _run_seconds(self, job: Job) -> float:
        wanted = job.behaviour.run_seconds
        return self._settings.scaled(self._settings.run_seconds) if wanted is None else wanted

    def _ripen(self, job: Job) -> None:
        heapq.heappush(self._waiting, (job.low_priority, job.ticket, job))
        self._fill_slots()

    def _fill_slots(self) -> None:
        while self._waiting and self.has_free_slot():
            *_, job = heapq.heappop(self._waiting)
            if job.status is Status.IN_QUEUE:
                self._start(job)

    def _start(self, job: Job) -> None:
        if job.started_at is None:
            self._left += 1
        job.status, job.started_at = Status.IN_PROGRESS, time.time()
        job.attempts += 1
        self.running += 1
        job.wake()
        if job.behaviour.requeue and job.attempts == 1:
            self._later(self._run_seconds(job) / 2, self._fall_back, job)
        elif outcome := self._model.judge(job):
            self._conclude(job, outcome)
        else:
            self._spawn(job)

    def _spawn(self, job: Job) -> None:
        task = self._loop.create_task(self._perform(job))
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _perform(self, job: Job) -> None:
        try:
            outcome = await self._model.perform(job)
        except Exception:  # a runner that raises fails its job and frees its slot
            logger.exception("job %s", job.request_id)
            outcome = endings.ERROR_500
        self._conclude(job, outcome)

    def _conclude(self, job: Job, outcome: Outcome) -> None:
        spent = time.time() - (job.started_at or 0)
        wait = 0 if outcome.immediate else max(0, self._run_seconds(job) - spent)
        self._later(wait, lambda job: self._complete(job, outcome), job)

    def _fall_back(self, job: Job) -> None:
        """The platform lost the runner and tries another one."""
        if job.status is not Status.IN_PROGRESS:
            return
        job.status = Status.IN_QUEUE
        self.running -= 1
        job.wake()
        self._later(self._queue_seconds(job), self._ripen, job)
        self._fill_slots()

    def _miss_start(self, job: Job) -> None:
        if job.started_at is None:
            self._complete(job, outcomes.start_deadline_passed())

    def _complete(self, job: Job, outcome: Outcome, *, quietly: bool = False) -> None:
        if job.status is Status.COMPLETED:
            return
        if job.status is Status.IN_PROGRESS:
            self.running -= 1
        elif job.started_at is None:
            self._left += 1
        job.status, job.outcome, job.finished_at = Status.COMPLETED, outcome, time.time()
        self.finished.append(job)
        job.wake()
        if not quietly:
            self._completed(job)
        self._fill_slots()
