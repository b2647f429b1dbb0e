"""The dispatch gate: an operator, or fal's responses to submits and polls, close and open it."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from service.clock import Clock
from service.domain.dispatch_gate import Gate, Stops
from service.domain.generation import Generation
from service.domain.outcomes import Accepted, Locked, NotSubmitted, Rejected, SubmitOutcome, Unknown
from service.domain.work_queue import WorkQueue
from service.errors import StoreUnavailable
from service.observability import log, metrics
from service.observability.outages import log_store_failure
from service.store.gate.gate import GateStore, Noted, Signal
from service.tasks import Nudger
from service.usecases.trail.recording import note_change

#: The account counts as locked after fal has refused the polls of this many generations with 401 or 403.
LOCKED_POLLS: Final = 3


class DispatchGate:
    """Stops submits only.

    Polls and webhooks continue while the gate is closed: they cost nothing, and jobs that fal has must still end.
    """

    def __init__(self, store: GateStore, nudger: Nudger, *, clock: Clock) -> None:
        self._store = store
        self._nudger = nudger
        self._clock = clock
        self._log = log.get(__name__)
        self._poll_refused = False
        """fal has refused a poll of this process, and has answered none since."""

    async def note(self, outcome: SubmitOutcome, g: Generation) -> Noted:
        """Record what the outcome of a generation's submit means for other submits."""
        signal, reason = _signal(outcome)
        try:
            noted = await self._store.note(signal, reason, self._clock(), generation_id=g.id, tenant_id=g.tenant_id)
        except StoreUnavailable as error:  # the next submit has the same outcome
            log_store_failure(self._log, error, operation="note_submit")
            return Noted()
        match noted.change:
            case "shut":
                self._report_closed("locked" if signal == "locked" else "failing", reason)
            case "held":
                self._log.warning("tenant_dispatch_stopped", tenant=g.tenant_id, reason=reason)
            case "opened":
                self._report_opened()
        return noted

    async def leave(self, generation_id: str) -> bool:
        """Record that a claimed generation was not submitted. Return True if another may be claimed instead."""
        try:
            return await self._store.leave(generation_id)
        except StoreUnavailable:  # the claim expires, and is not counted any more
            return False

    async def answered(self) -> None:
        """Record that fal has answered a poll: the account is not locked, although fal refused other polls."""
        if not self._poll_refused:
            return
        self._poll_refused = False
        try:
            opened = await self._store.note_answered_poll()
        except StoreUnavailable:  # repeated by the next answered poll after a refused one
            return
        if opened:
            self._report_opened()

    async def locked_poll(self, g: Generation, reason: str, sent_at: datetime) -> None:
        """Record that fal has refused a poll with 401 or 403.

        One refused generation may have a cause of its own. ``LOCKED_POLLS`` refused generations close the gate.
        """
        self._poll_refused = True
        await self._lock(reason, g.id, g.tenant_id, sent_at, LOCKED_POLLS)

    async def locked(self, reason: str) -> None:
        """Close the gate at once: the account is known to be locked."""
        await self._lock(reason, "", "", self._clock(), 1)

    async def _lock(self, reason: str, generation_id: str, tenant_id: str, sent_at: datetime, enough: int) -> None:
        try:
            shut = await self._store.note_locked_poll(
                reason, self._clock(), generation_id=generation_id, tenant_id=tenant_id, sent_at=sent_at, enough=enough
            )
        except StoreUnavailable as error:  # repeated by the next refused poll
            log_store_failure(self._log, error, operation="note_lock")
            return
        if shut:
            self._report_closed("locked", reason)

    def _report_opened(self) -> None:
        self._log.warning("dispatch_gate_opened")
        self._nudger.nudge(WorkQueue.DISPATCH)

    def _report_closed(self, cause: str, reason: str) -> None:
        metrics.DISPATCH_PAUSES.labels(cause).inc()
        self._log.error("dispatch_gate_closed", cause=cause, reason=reason)

    async def pause(self, reason: str) -> Gate:
        """Submit nothing until ``resume``. Submitted jobs are still polled, and webhooks sent."""
        before = await self._store.pause(reason, self._clock())
        note_change(before, replace(before, paused=reason))
        self._log.warning("dispatch_paused", reason=reason)
        return await self.read()

    async def drain(self, reason: str) -> Gate:
        """Accept no new generations until ``resume``. Accepted ones finish."""
        before = await self._store.drain(reason, self._clock())
        note_change(before, replace(before, draining=reason))
        self._log.warning("drain_started", reason=reason)
        return await self.read()

    async def resume(self) -> Gate:
        """Open the gate and accept new generations, whatever the cause of the pause was."""
        note_change(await self._store.resume(), Stops())
        self._log.warning("dispatch_resumed")
        self._nudger.nudge(WorkQueue.DISPATCH)
        return await self.read()

    async def read(self) -> Gate:
        return await self._store.read()


def _signal(outcome: SubmitOutcome) -> tuple[Signal, str]:
    match outcome:
        case Accepted():
            return "taken", ""
        case Rejected():
            return "answered", ""
        case Locked(reason):
            return "locked", reason
        case NotSubmitted(reason, refused=True):
            return "refused", reason
        case NotSubmitted(reason):
            return "unsent", reason
        case Unknown(reason):
            return "unknown", reason
