"""Holding dispatch and letting it go: by an operator, or by what fal answers."""

from datetime import datetime
from typing import Final

from service.clock import Clock
from service.domain.dispatch_gate import Gate
from service.domain.generation import Generation
from service.domain.outcomes import Accepted, Locked, NotSubmitted, Rejected, SubmitOutcome, Unknown
from service.domain.work_queue import WorkQueue
from service.errors import StoreUnavailable
from service.observability import log, metrics
from service.store.gate.gate import GateStore, Noted, Signal
from service.tasks import Nudger

#: Generations whose polls fal refuses with 401 or 403, before that is taken for a lock of the account.
LOCKED_POLLS: Final = 3


class DispatchGate:
    """Polls and webhooks go on whatever this says: they cost nothing, and what fal has must come home."""

    def __init__(self, store: GateStore, nudger: Nudger, *, clock: Clock) -> None:
        self._store = store
        self._nudger = nudger
        self._clock = clock
        self._log = log.get(__name__)
        self._refused = False
        """fal refused a poll of this process, and has answered none since."""

    async def note(self, outcome: SubmitOutcome, g: Generation) -> Noted:
        """Note what the outcome of a generation's submit says about other submits."""
        signal, reason = _signal(outcome)
        try:
            noted = await self._store.note(signal, reason, self._clock(), generation_id=g.id, tenant_id=g.tenant_id)
        except StoreUnavailable as error:  # the next outcome says it again
            self._log.warning("store away while noting an outcome", error=error.detail)
            return Noted()
        match noted.change:
            case "shut":
                self._tell_hold("locked" if signal == "locked" else "failing", reason)
            case "held":
                self._log.warning("tenant held", tenant=g.tenant_id, reason=reason)
            case "opened":
                self._tell_opened()
        return noted

    async def leave(self, generation_id: str) -> bool:
        """A claimed generation was not sent; True: dispatch may take another for it."""
        try:
            return await self._store.leave(generation_id)
        except StoreUnavailable:  # it stops counting by itself
            return False

    async def answered(self) -> None:
        """Note that fal answered a poll: polls that it refused before prove no lock of the account."""
        if not self._refused:
            return
        self._refused = False
        try:
            opened = await self._store.note_answered_poll()
        except StoreUnavailable:  # the next answered poll after a refused one says it again
            return
        if opened:
            self._tell_opened()

    async def locked_poll(self, g: Generation, reason: str, sent_at: datetime) -> None:
        """Note that fal refused a poll with 401 or 403. One generation's may be its own; several hold dispatch."""
        self._refused = True
        await self._lock(reason, g.id, g.tenant_id, sent_at, LOCKED_POLLS)

    async def locked(self, reason: str) -> None:
        """Hold dispatch at once: the account is known to be locked."""
        await self._lock(reason, "", "", self._clock(), 1)

    async def _lock(self, reason: str, generation_id: str, tenant_id: str, sent_at: datetime, enough: int) -> None:
        try:
            shut = await self._store.note_locked_poll(
                reason, self._clock(), generation_id=generation_id, tenant_id=tenant_id, sent_at=sent_at, enough=enough
            )
        except StoreUnavailable as error:  # the next poll says it again
            self._log.warning("store away while noting a lock", error=error.detail)
            return
        if shut:
            self._tell_hold("locked", reason)

    def _tell_opened(self) -> None:
        self._log.warning("dispatch goes on: fal takes submits again")
        self._nudger.nudge(WorkQueue.DISPATCH)

    def _tell_hold(self, hold: str, reason: str) -> None:
        metrics.DISPATCH_HELD.labels(hold).inc()
        self._log.error("dispatch held", hold=hold, reason=reason)

    async def pause(self, reason: str) -> Gate:
        """Until ``resume``: nothing is dispatched; what fal has is followed, webhooks go out."""
        await self._store.pause(reason, self._clock())
        self._log.warning("dispatch paused by an operator", reason=reason)
        return await self.read()

    async def drain(self, reason: str) -> Gate:
        """Until ``resume``: nothing new is accepted; what was accepted runs out."""
        await self._store.drain(reason)
        self._log.warning("draining by an operator", reason=reason)
        return await self.read()

    async def resume(self) -> Gate:
        """Accept and dispatch, whatever stood against it."""
        await self._store.resume()
        self._log.warning("dispatch resumed by an operator")
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
