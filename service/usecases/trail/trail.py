"""The audit trail: one entry for each act of an operator, and for each managing act of a tenant.

An act is stored before it changes anything, so that no act is without a record: if the process ends in between, the
entry is appended later, with the outcome ``unknown``.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, time, timedelta
from typing import Final, Literal

from service.clock import Clock
from service.domain import ids
from service.domain.actor import Actor, ActorKind
from service.domain.trail import Entry, Outcome, known_form
from service.errors import GatewayError, StoreUnavailable, TooManyActs
from service.observability import log, metrics
from service.store.trail.trail import TenantShare, TrailStore
from service.usecases.trail import recording
from service.usecases.trail.recording import Act

#: An act without an end for so long belongs to a process that has ended.
_ABANDONED_AFTER: Final = timedelta(hours=1)
_SERVER_FAULT: Final = 500


class Trail:
    def __init__(self, store: TrailStore, *, share: TenantShare, clock: Clock) -> None:
        self._store = store
        self._share = share
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
        is_counted: bool = True,
    ) -> AsyncIterator[Act]:
        """Record what happens inside as one act.

        Raises:
            StoreUnavailable: the act cannot be recorded, so it must not begin.
            TooManyActs: the tenant that acts has reached one of its limits.

        """
        act = await self.begin(actor, action, target=target, tenant_id=tenant_id, reason=reason, is_counted=is_counted)
        try:
            yield act
        except (Exception, asyncio.CancelledError) as error:
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
        is_counted: bool = True,
    ) -> Act:
        """Store an act that begins, and make it the current one. Raises as ``act``.

        ``target`` and ``tenant_id``: as the caller gave them. Texts that are no ids are not stored.
        ``is_counted`` False: the end of an act of a tenant that was counted at its begin, which must not be refused.
        """
        now = self._clock()
        act = Act(
            id=ids.new(ids.ACT, now),
            at=now,
            actor=actor,
            action=action,
            target=known_form(target),
            tenant_id=actor.tenant_id or _tenant_id(tenant_id),
            reason=reason,
        )
        share = self._share if is_counted and actor.tenant_id is not None else None
        begun = await self._store.begin(act.id, _entry(act, Outcome.UNKNOWN), share=share)
        if begun != "begun":
            raise self._refused(begun, now)
        recording.set_current(act)
        return act

    def _refused(self, limit: Literal["daily", "stored"], now: datetime) -> TooManyActs:
        metrics.ACTS_REFUSED.labels(limit).inc()
        tomorrow = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
        wait = (tomorrow - now).total_seconds()
        if limit == "daily":
            return TooManyActs(
                f"This tenant has made {self._share.daily} changes of configuration today (UTC).", retry_after=wait
            )
        return TooManyActs(
            f"The audit trail has {self._share.stored} entries about this tenant, the most that it may have. Older "
            "ones expire; until then an operator makes the changes.",
            retry_after=wait,
        )

    async def end(self, act: Act, error: BaseException | None = None) -> None:
        """Append the entry of an act. If Redis is unavailable, the entry is appended later, as ``unknown``."""
        recording.set_current(None)
        outcome, code = _outcome(error)
        entry = _entry(act, outcome, code)
        # The entry of an act of more than an hour exists already, as unknown: this one has the outcome.
        once = self._clock() - act.at < _ABANDONED_AFTER
        try:
            # Cancelled calls have an entry too: their tasks end with this one.
            await asyncio.shield(self._append(act.id, entry, once=once))
        except StoreUnavailable as unavailable:
            self._log.warning("trail_entry_delayed", action=act.action, outcome=outcome, error=unavailable.detail)

    async def end_abandoned(self) -> int:
        """Append entries of acts whose process has ended. Return their number."""
        now, ended = self._clock(), 0
        for act_id, entry in (await self._store.pending()).items():
            if entry.at < now - _ABANDONED_AFTER:
                ended += await self._append(act_id, entry)
        return ended

    async def _append(self, act_id: str, entry: Entry, *, once: bool = True) -> bool:
        link = await self._store.append(act_id, entry, once=once)
        if link is None:  # the reply to an earlier try was lost, or another process has ended the act
            return False
        metrics.ACTS.labels(entry.actor.kind.value, entry.outcome.value).inc()
        level = self._log.warning if entry.actor.kind is ActorKind.BREAK_GLASS else self._log.info
        # The hash in the logs proves later that the chain was not made again as a whole.
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
        return True


def _tenant_id(given: str | None) -> str | None:
    """Return a tenant's id. Another text would become a part of a key."""
    return given if given is not None and ids.is_id(ids.TENANT, given) else None


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


def _outcome(error: BaseException | None) -> tuple[Outcome, str | None]:
    if error is None:
        return Outcome.DONE, None
    if isinstance(error, asyncio.CancelledError):
        return Outcome.UNKNOWN, "canceled"
    if isinstance(error, GatewayError):
        return _outcome_of_status(error.status), error.code
    status = getattr(error, "status_code", None)
    return Outcome.FAILED if status is None else _outcome_of_status(status), type(error).__name__


def _outcome_of_status(status: int) -> Outcome:
    return Outcome.FAILED if status >= _SERVER_FAULT else Outcome.REFUSED
