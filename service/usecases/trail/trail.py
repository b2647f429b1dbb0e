"""The audit trail: one entry for each act of an operator, and for each managing act of a tenant.

An act is stored before it changes anything, so that no act is without a record: if the process ends in between, the
entry is appended later, with the outcome ``unknown``.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from service.clock import Clock
from service.domain import ids
from service.domain.actor import Actor, ActorKind
from service.domain.trail import Entry, Outcome
from service.errors import GatewayError, StoreUnavailable, TooManyActs
from service.observability import log, metrics
from service.store.trail.trail import TrailStore
from service.usecases.trail import recording
from service.usecases.trail.recording import Act

#: An act without an end for so long belongs to a process that has ended.
_ABANDONED_AFTER: Final = timedelta(hours=1)


class Trail:
    def __init__(self, store: TrailStore, *, tenant_daily_acts: int, clock: Clock) -> None:
        self._store = store
        self._tenant_daily_acts = tenant_daily_acts
        self._clock = clock
        self._log = log.get(__name__)

    @asynccontextmanager
    async def act(
        self,
        actor: Actor,
        action: str,
        *,
        target: str | None = None,
        tenant_id: str | None = None,
        reason: str | None = None,
    ) -> AsyncIterator[Act]:
        """Record what happens inside as one act.

        Raises:
            StoreUnavailable: the act cannot be recorded, so it must not begin.
            TooManyActs: the tenant that acts has reached its limit of a day.

        """
        act = await self.begin(actor, action, target=target, tenant_id=tenant_id, reason=reason)
        try:
            yield act
        except Exception as error:
            await self.end(act, error)
            raise
        await self.end(act)

    async def begin(
        self,
        actor: Actor,
        action: str,
        *,
        target: str | None = None,
        tenant_id: str | None = None,
        reason: str | None = None,
    ) -> Act:
        """Store an act that begins, and make it the current one. Raises as ``act``."""
        now = self._clock()
        act = Act(
            id=ids.new(ids.ACT, now),
            at=now,
            actor=actor,
            action=action,
            target=target,
            tenant_id=actor.tenant_id or tenant_id,
            reason=reason,
        )
        limit = None if actor.tenant_id is None else self._tenant_daily_acts
        if not await self._store.begin(act.id, _entry(act, Outcome.UNKNOWN), daily_limit=limit):
            raise TooManyActs(f"More than {self._tenant_daily_acts} changes of configuration today.")
        recording.set_current(act)
        return act

    async def end(self, act: Act, error: Exception | None = None) -> None:
        """Append the entry of an act. If Redis is unavailable, the entry is appended later, as ``unknown``."""
        recording.set_current(None)
        outcome, code = _outcome(error)
        entry = _entry(act, outcome, code)
        try:
            await self._append(act.id, entry)
        except StoreUnavailable as unavailable:
            self._log.warning("trail_entry_delayed", action=act.action, outcome=outcome, error=unavailable.detail)

    async def end_abandoned(self) -> int:
        """Append entries of acts whose process has ended. Return their number."""
        now, ended = self._clock(), 0
        for act_id, entry in (await self._store.pending()).items():
            if entry.at < now - _ABANDONED_AFTER:
                await self._append(act_id, entry)
                ended += 1
        return ended

    async def _append(self, act_id: str, entry: Entry) -> None:
        link = await self._store.append(act_id, entry, self._clock())
        metrics.ACTS.labels(entry.actor.kind.value, entry.outcome.value).inc()
        level = self._log.warning if entry.actor.kind is ActorKind.BREAK_GLASS else self._log.info
        # The hash in the logs proves later that nobody has made the whole chain again.
        level(
            "trail_entry",
            number=link.number,
            hash=link.hash,
            action=entry.action,
            target=entry.target,
            actor_kind=entry.actor.kind.value,
            actor=entry.actor.name,
            outcome=entry.outcome.value,
            error=entry.error,
        )


def _entry(act: Act, outcome: Outcome, error: str | None = None) -> Entry:
    return Entry(
        at=act.at,
        actor=act.actor,
        action=act.action,
        target=act.target,
        tenant_id=act.tenant_id,
        reason=act.reason,
        changes=act.changes,
        facts=act.facts,
        outcome=outcome,
        error=error,
    )


def _outcome(error: Exception | None) -> tuple[Outcome, str | None]:
    if error is None:
        return Outcome.DONE, None
    status = getattr(error, "status", None) or getattr(error, "status_code", None)
    code = error.code if isinstance(error, GatewayError) else type(error).__name__
    server_fault = 500
    if isinstance(error, GatewayError):
        return (Outcome.FAILED if error.status >= server_fault else Outcome.REFUSED), code
    is_refusal = status is not None and status < server_fault
    return (Outcome.REFUSED if is_refusal else Outcome.FAILED), code
