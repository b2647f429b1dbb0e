"""Holding dispatch and letting it go: by an operator, or by what fal answers."""

from service import log, metrics
from service.domain.drain import Drain
from service.domain.gate import Gate
from service.errors import StoreUnavailable
from service.fal.outcomes import Accepted, Locked, NotTaken, Rejected, SubmitOutcome, Unknown
from service.queue import Nudger
from service.store.gate import GateStore, Signal
from service.usecases.moves import Clock


class DispatchGate:
    """Polls and webhooks go on whatever this says: they cost nothing, and what fal has must come home."""

    def __init__(self, store: GateStore, nudger: Nudger, *, clock: Clock) -> None:
        self._store = store
        self._nudger = nudger
        self._clock = clock
        self._log = log.get(__name__)

    async def note(self, outcome: SubmitOutcome) -> None:
        """What a submit's outcome says about the next one."""
        match outcome:
            case Accepted() | Rejected():
                await self._note("ok", "")
            case Locked(reason):
                await self._note("locked", reason)
            case NotTaken(reason) | Unknown(reason):
                await self._note("failing", reason)

    async def locked(self, reason: str) -> None:
        """A poll was refused: the account is locked for submits too."""
        await self._note("locked", reason)

    async def _note(self, signal: Signal, reason: str) -> None:
        try:
            changed = await self._store.note(signal, reason, self._clock())
        except StoreUnavailable as error:  # the next outcome says it again
            self._log.warning("store away while noting an outcome", error=error.detail)
            return
        if changed == "shut":
            metrics.DISPATCH_HELD.labels(signal).inc()
            self._log.error("dispatch held", hold=signal, reason=reason)
        elif changed == "opened":
            self._log.warning("dispatch goes on: fal takes submits again")
            self._nudger.nudge(Drain.DISPATCH)

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
        self._nudger.nudge(Drain.DISPATCH)
        return await self.read()

    async def read(self) -> Gate:
        return await self._store.read()
