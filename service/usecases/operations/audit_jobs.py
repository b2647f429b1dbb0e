"""Audits of ledgers that are too large for one call: a job of the sweep, with progress and the last findings."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, get_args

from pydantic import TypeAdapter

from service.clock import Clock
from service.errors import NotFound
from service.observability import log
from service.store.money.audits import AuditRun, AuditStore
from service.store.money.money import MoneyStore
from service.usecases.operations.audit import Audit, Findings, Progress, Step

#: The most ledger entries that one call audits itself, in less than two seconds ...
CALL_LIMIT: Final = 20_000
#: ... and the most keys of Redis, which it scans.
KEYS_LIMIT: Final = 200_000
_FINDINGS: Final = TypeAdapter(Findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A run. While it runs, ``findings`` is None and ``progress`` is set."""

    started_at: datetime
    finished_at: datetime | None
    findings: Findings | None
    progress: Progress | None


class AuditJobs:
    def __init__(self, audit: Audit, audits: AuditStore, money: MoneyStore, *, clock: Clock) -> None:
        self._audit = audit
        self._audits = audits
        self._money = money
        self._clock = clock
        self._log = log.get(__name__)

    async def start(self) -> Report:
        """Start a run by the workers, unless one is running."""
        await self._audits.begin(self._clock())
        return await self._last()

    async def read(self) -> Report:
        """Run an audit now if ledger and store are small and none is running; else return the running or the last one.

        Raises:
            NotFound: the ledger is too large, and no run was started.

        """
        run = await self._audits.load()
        if (run is None or run.state == "done") and await self._is_small():
            started = self._clock()
            findings = await self._audit.run()
            return Report(started_at=started, finished_at=self._clock(), findings=findings, progress=None)
        return await self._last()

    async def last(self) -> Report | None:
        """Return the running or last run of the workers; None: there was none. One command."""
        try:
            return await self._last()
        except NotFound:
            return None

    async def _is_small(self) -> bool:
        return await self._money.entries() <= CALL_LIMIT and await self._money.stored_keys() <= KEYS_LIMIT

    async def continue_job(self) -> None:
        """Run the audit from the start: the progress of a dead worker is not stored."""
        findings = await self._audit.run(self._report_progress)
        stored = Findings(
            findings.windows, findings.entries, findings.slots, findings.listed(), findings.difference_count
        )
        await self._audits.end(_FINDINGS.dump_json(stored), self._clock())
        self._log.info("audit_ended", clean=findings.clean, differences=findings.difference_count)

    async def _report_progress(self, progress: Progress) -> None:
        await self._audits.note(progress.step, progress.done, progress.total)

    async def _last(self) -> Report:
        run = await self._audits.load()
        if run is None:
            raise NotFound("No audit was started, and the ledger is too large to be audited by this call.")
        return Report(
            started_at=run.started_at,
            finished_at=run.finished_at,
            findings=None if run.found is None else _FINDINGS.validate_json(run.found),
            progress=_progress(run),
        )


def _progress(run: AuditRun) -> Progress | None:
    step = next((step for step in get_args(Step) if step == run.step), None)
    return None if run.state == "done" or step is None else Progress(step, run.done, run.total)
