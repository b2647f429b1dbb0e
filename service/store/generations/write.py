"""Transitions of generations: a compare-and-set that changes slots, queues, money and deliveries in one script."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from service.domain import ids
from service.domain.budgets import day
from service.domain.generation import Due, Generation
from service.domain.status import Status
from service.domain.webhook import Delivery
from service.domain.work_queue import WorkQueue
from service.errors import RequestIdTaken, TenantDeleted
from service.store import keys
from service.store.generations import terms
from service.store.generations.record_keys import idempotency_key, queue_rank
from service.store.generations.records import dump
from service.store.money.money import usage_keys, window_keys
from service.store.redis.client import Argument, Redis, Script
from service.store.times import score
from service.store.webhooks import deliveries

_SAVE: Final = Script("save")
_FINISH: Final = Script("finish")
_REVIVE: Final = Script("revive")
_PURGE: Final = Script("purge")
_RESCHEDULE_POLL: Final = Script("reschedule_poll")
_RESCHEDULE_SWEEP: Final = Script("reschedule_sweep")

_SHARED_KEYS: Final = {
    "slots": keys.SLOTS,
    "due_dispatch": keys.due(WorkQueue.DISPATCH),
    "due_poll": keys.due(WorkQueue.POLL),
    "due_sweep": keys.due(WorkQueue.SWEEP),
    "due_deliver": keys.due(WorkQueue.DELIVER),
    "nudged_dispatch": keys.nudged(WorkQueue.DISPATCH),
    "nudged_deliver": keys.nudged(WorkQueue.DELIVER),
    "claimed": keys.CLAIMED,
    **keys.DISPATCH_ORDER,
    "delayed": keys.DELAYED,
    "unconfirmed": keys.UNCONFIRMED,
    "ledger": keys.LEDGER,
}

_REQUEST_ID_TAKEN: Final = 2  # in the replies of save.lua and revive.lua
_TENANT_DELETED: Final = 3  # in the reply of revive.lua
_CALLBACK_STORED: Final = 2  # in the reply of finish.lua


@dataclass(frozen=True, slots=True)
class Moved:
    """Whether the transition was written, and which work queues have something to do since."""

    won: bool
    generation: Generation
    """As it is in Redis if the transition was written."""
    nudges: tuple[WorkQueue, ...] = ()
    callback_waits: bool = False
    """The transition was refused: it would have ended a generation with a stored callback that no poll has judged."""


class GenerationWriter:
    """Writes transitions, and deletes ended generations."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def save(
        self,
        generation: Generation,
        due: Due,
        events: Sequence[Delivery] = (),
        *,
        why: str = "",
        before: Generation | None = None,
    ) -> Moved:
        """Write a transition that is not the last one, with the deliveries that it causes.

        ``generation`` has the version that the transition started from. ``why``: the reason of an operator or of
        reconciliation, for the ledger. ``before``: the record that the transition started from; None: its terms differ
        by the status only.

        Raises:
            RequestIdTaken: a transition with a reason has a request id that belongs to another generation.

        """
        g = replace(generation, version=generation.version + 1)
        won, dispatch, deliver = await self._redis.run(
            _SAVE,
            {**_transition_keys(g, events), "fal_request_ids": keys.FAL_REQUEST_IDS},
            {
                **_transition_arguments(g, before, why),
                "holds_slot": "1" if g.holds_slot else "",
                "dispatch_ms": score(due.dispatch),
                "poll_ms": score(due.poll),
                "sweep_ms": score(due.sweep),
                "rank": queue_rank(g),
                "request_id": g.request_id if g.status is Status.SUBMITTED and g.request_id else "",
                "submit_ms": score(g.submitted_at),
                "delivery_ms": "" if not events else ids.milliseconds(events[0].created_at),
                "has_verdict": "1" if g.status is Status.COPYING else "",
                "deliveries": deliveries.delivery_arguments(events),
            },
        )
        if won == _REQUEST_ID_TAKEN:
            raise RequestIdTaken("This request id belongs to another generation.")
        return Moved(bool(won), g, _nudges(dispatch, deliver))

    async def finish(
        self,
        generation: Generation,
        due: Due,
        events: Sequence[Delivery],
        *,
        now: datetime,
        why: str = "",
        verdict: bool = False,
        before: Generation | None = None,
    ) -> Moved:
        """Write the last transition, with its settlement and the deliveries that it causes.

        Refused while a callback is stored, unless the transition is a ``verdict`` of fal. ``before``: as for ``save``.
        """
        g = replace(generation, version=generation.version + 1)
        created_on = day(g.created_at)  # money stays in the windows that hold it, however late it is settled
        won, dispatch, deliver = await self._redis.run(
            _FINISH,
            {
                **_transition_keys(g, events),
                **window_keys(g.tenant_id, g.end_user, created_on),
                **usage_keys(g.tenant_id, created_on),
                "end_user": keys.end_user(g.tenant_id, g.end_user),
                "job_durations": keys.JOB_DURATIONS,
                "given_up": keys.GIVEN_UP,
            },
            {
                **_transition_arguments(g, before, why),
                **_cost_arguments(g, settled=g),
                "purge_ms": score(due.sweep),
                "delivery_ms": ids.milliseconds(now),
                "refused_by_policy": "1" if _is_refused_by_policy(g) else "",
                "direct_cost": (g.direct_cost or 0) if g.status is Status.SUCCEEDED else 0,
                "job_duration_ms": _job_duration(g),
                "is_verdict": "1" if verdict else "",
                "deliveries": deliveries.delivery_arguments(events),
            },
        )
        return Moved(won == 1, g, _nudges(dispatch, deliver), callback_waits=won == _CALLBACK_STORED)

    async def revive(self, before: Generation, after: Generation, *, now: datetime, why: str) -> Moved:
        """Follow a given-up generation again: its cost is held, it has a slot, and it is polled now.

        Raises:
            RequestIdTaken: the request id belongs to another generation.
            TenantDeleted: the tenant was deleted, so that no budget can hold the cost.

        """
        g, created_on = replace(after, version=before.version + 1), day(before.created_at)
        won, nudge = await self._redis.run(
            _REVIVE,
            {
                "generation": keys.generation(g.id),
                "slots": keys.SLOTS,
                "due_poll": keys.due(WorkQueue.POLL),
                "due_sweep": keys.due(WorkQueue.SWEEP),
                "nudged_poll": keys.nudged(WorkQueue.POLL),
                **window_keys(g.tenant_id, g.end_user, created_on),
                "ledger": keys.LEDGER,
                **usage_keys(g.tenant_id, created_on),
                "tenant_slots": keys.slots_of_tenant(g.tenant_id),
                "fal_request_ids": keys.FAL_REQUEST_IDS,
                "given_up": keys.GIVEN_UP,
                "paid_and_lost": keys.PAID_AND_LOST,
                "tenant": keys.tenant(g.tenant_id),
                **term_keys(g.tenant_id),
            },
            {
                **_transition_arguments(g, before, why),
                **_cost_arguments(g, settled=before),
                "now_ms": ids.milliseconds(now),
                "request_id": g.request_id or "",
                "submit_ms": score(g.submitted_at or now),
            },
        )
        if won == _REQUEST_ID_TAKEN:
            raise RequestIdTaken("This request id belongs to another generation.")
        if won == _TENANT_DELETED:
            raise TenantDeleted("The tenant of this generation was deleted; its budgets cannot hold the cost.")
        return Moved(bool(won), g, (WorkQueue.POLL,) if nudge else ())

    async def reschedule_poll(self, generation_id: str, until: datetime) -> None:
        """Set the time of the next poll, if the generation is still polled. Nothing else changes."""
        await self._redis.run(
            _RESCHEDULE_POLL,
            {"generation": keys.generation(generation_id), "due_poll": keys.due(WorkQueue.POLL)},
            {"generation_id": generation_id, "poll_ms": ids.milliseconds(until)},
        )

    async def reschedule_sweep(self, generation: Generation, until: datetime) -> None:
        """Set the time of the next sweep, unless the generation has changed since. Nothing else changes."""
        g = generation
        await self._redis.run(
            _RESCHEDULE_SWEEP,
            {"generation": keys.generation(g.id), "due_sweep": keys.due(WorkQueue.SWEEP)},
            {"generation_id": g.id, "version": g.version, "sweep_ms": ids.milliseconds(until)},
        )

    async def purge(self, generation: Generation) -> bool:
        """Delete an ended generation; False: it has changed since it was read."""
        g = generation
        deleted = await self._redis.run(
            _PURGE,
            {
                "generation": keys.generation(g.id),
                "idempotency": idempotency_key(g),
                "generations": keys.GENERATIONS,
                "tenant_generations": keys.generations_of_tenant(g.tenant_id),
                "end_user_generations": keys.generations_of_end_user(g.tenant_id, g.end_user),
                "due_sweep": keys.due(WorkQueue.SWEEP),
                "paid_and_lost": keys.PAID_AND_LOST,
                **term_keys(g.tenant_id),
            },
            {"generation_id": g.id, "version": g.version, **terms.all_of(g)},
        )
        return bool(deleted)


def outcome(g: Generation) -> str:
    """The name under which the usage counts a generation."""
    return g.status if g.error is None else f"{g.status}:{g.error.code}"


def of_draft(g: Generation) -> str:
    """Return whether the usage counts its cost as one of drafts, for scripts."""
    return "1" if g.is_draft or g.completes is not None else ""


def _is_refused_by_policy(g: Generation) -> bool:
    return g.error is not None and g.error.code == "content_policy" and not g.erased


def _job_duration(g: Generation) -> int | str:
    """Time at fal in ms; "": it never was there."""
    ended_at = g.fal_ended_at or g.finished_at
    if g.submitted_at is None or ended_at is None or g.request_id is None:
        return ""
    return max(0, ids.milliseconds(ended_at) - ids.milliseconds(g.submitted_at))


def _transition_keys(g: Generation, events: Sequence[Delivery]) -> dict[str, str | Sequence[str]]:
    """Return the keys that every transition of a generation needs."""
    return {
        **_SHARED_KEYS,
        "generation": keys.generation(g.id),
        "tenant_queue": keys.queued_of_tenant(g.tenant_id),
        "tenant_slots": keys.slots_of_tenant(g.tenant_id),
        "slotless": keys.slotless_of_tenant(g.tenant_id),
        **term_keys(g.tenant_id),
        **deliveries.delivery_keys(g.tenant_id, events),
    }


def _transition_arguments(g: Generation, before: Generation | None, why: str) -> dict[str, Argument]:
    """Return the arguments that every transition needs. ``g`` has the version that the transition writes."""
    return {
        "generation_id": g.id,
        "version": g.version - 1,
        "record": dump(g),
        "status": g.status,
        "changes_channel": keys.CHANGES,
        "tenant_id": g.tenant_id,
        "pseudonym": g.end_user,
        "reason": why,
        **terms.changed(g, before),
    }


def _cost_arguments(g: Generation, *, settled: Generation) -> dict[str, Argument]:
    """Return what the ledger and the usage need. ``settled``: the end whose cost is booked, or is taken back."""
    return {
        "model": g.model,
        "held_cost": g.estimated_cost,
        "settled_cost": settled.actual_cost or 0,
        "outcome": outcome(settled),
        "of_draft": of_draft(g),
        "retention_seconds": keys.MONEY_RETENTION_SECONDS,
    }


def term_keys(tenant_id: str) -> dict[str, str]:
    """Return the keys of the indexes of terms by the names that scripts give them."""
    return {
        "generation_terms": keys.GENERATION_TERMS,
        "tenant_generation_terms": keys.generation_terms_of_tenant(tenant_id),
    }


def _nudges(dispatch: int, deliver: int) -> tuple[WorkQueue, ...]:
    flags = ((WorkQueue.DISPATCH, dispatch), (WorkQueue.DELIVER, deliver))
    return tuple(work_queue for work_queue, is_wanted in flags if is_wanted)
