"""The dispatch gate in Redis: an operator's pause, a locked account, failing submits. The dispatch script reads it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from service.domain import ids
from service.domain.dispatch_gate import FIRST_SUBMITS, Gate, PauseCause, Stops
from service.store import keys
from service.store.redis.client import Redis, Script
from service.store.times import milliseconds, moment

_GATE: Final = Script("gate")
_LOCK: Final = Script("lock")
_UNLOCK: Final = Script("unlock")
_LEAVE: Final = Script("leave")
_RESUME: Final = Script("resume")
_STOP: Final = Script("stop")
_STATE: Final = Script("gate_state")

#: A refused poll is repeated sooner than this: an older refusal says nothing about the account any more.
_REFUSED_POLL: Final = timedelta(seconds=60)

Signal = Literal["taken", "answered", "refused", "locked", "unsent", "unknown"]
"""Outcome of a submit: accepted; refused because of its body; refused for another reason; 401 or 403; not a byte was
sent; fal may have it."""


@dataclass(frozen=True, slots=True)
class Noted:
    """Effect of a submit's outcome. ``shut``: the account's gate closed; ``held``: the tenant's gate closed."""

    change: Literal["opened", "shut", "held", ""] = ""
    refusals: int = 0
    """Submits of this generation that fal refused while it accepted those of others."""
    wanted: bool = False
    """Dispatch may claim again, because the submit window has room."""


@dataclass(frozen=True, slots=True)
class StoppedTenants:
    """Ids of tenants whose queued generations are not submitted."""

    paused: Sequence[str]
    failing: Sequence[str]


class GateStore:
    """The gates of the account and of its tenants.

    ``failures``: distinct generations whose submits must fail before a gate closes. ``first_probe``, ``last_probe``:
    the first wait for a probe and the longest. ``most``: the largest submit window.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        failures: int,
        first_probe: timedelta,
        last_probe: timedelta,
        most: int = FIRST_SUBMITS,
    ) -> None:
        self._redis = redis
        self._failures = failures
        self._first_wait, self._longest_wait = milliseconds(first_probe), milliseconds(last_probe)
        self._most = most

    async def note(self, signal: Signal, reason: str, now: datetime, *, generation_id: str, tenant_id: str) -> Noted:
        """Record the outcome of a generation's submit."""
        change, refusals, wanted = await self._redis.run(
            _GATE,
            {
                "gate": keys.GATE,
                "failed_submits": keys.FAILED_SUBMITS,
                "submits_under_way": keys.SUBMITS_UNDER_WAY,
                "closed_gates": keys.CLOSED_GATES,
                "generation": keys.generation(generation_id),
                "tenant_failed_submits": keys.failed_submits_of_tenant(tenant_id),
                "tenant_gate": keys.gate_of_tenant(tenant_id),
                **keys.DISPATCH_ORDER,
                "locked_polls": keys.LOCKED_POLLS,
            },
            {
                "outcome": signal,
                "now_ms": ids.milliseconds(now),
                "generation_id": generation_id,
                "tenant_id": tenant_id,
                "enough": self._failures,
                "reason": reason,
                "first_wait_ms": self._first_wait,
                "longest_wait_ms": self._longest_wait,
                "first_window": FIRST_SUBMITS,
                "largest_window": self._most,
                "tenant_prefix": keys.tenant(""),
            },
        )
        return Noted(change.decode(), refusals, wanted == 1)

    async def note_locked_poll(
        self, reason: str, now: datetime, *, generation_id: str, tenant_id: str, sent_at: datetime, enough: int
    ) -> bool:
        """Record a poll that fal refused with 401 or 403.

        Return True if polls of ``enough`` generations were refused, so that the account's gate is closed now.
        """
        change = await self._redis.run(
            _LOCK,
            {
                "gate": keys.GATE,
                "locked_polls": keys.LOCKED_POLLS,
                "closed_gates": keys.CLOSED_GATES,
                **keys.DISPATCH_ORDER,
                "slots": keys.SLOTS,
                "tenant_slots": keys.slots_of_tenant(tenant_id),
            },
            {
                "now_ms": ids.milliseconds(now),
                "generation_id": generation_id,
                "sent_ms": ids.milliseconds(sent_at),
                "enough": enough,
                "reason": reason,
                "first_wait_ms": self._first_wait,
                "longest_wait_ms": self._longest_wait,
                "tenant_prefix": keys.tenant(""),
                "memory_ms": milliseconds(_REFUSED_POLL),
                "tenant_id": tenant_id,
            },
        )
        return bool(change == b"shut")

    async def note_answered_poll(self) -> bool:
        """Record a poll that fal answered after it had refused others; True: this opened the account's gate."""
        change = await self._redis.run(_UNLOCK, {"gate": keys.GATE, "locked_polls": keys.LOCKED_POLLS})
        return bool(change == b"opened")

    async def stopped_tenants(self, most: int) -> "StoppedTenants":
        """Return some tenants that are paused, and some whose own submits fail."""
        paused, failing = await self._redis.gather(
            [("SRANDMEMBER", keys.PAUSED_TENANTS, most), ("ZRANGE", keys.CLOSED_GATES, 0, most - 1)]
        )
        return StoppedTenants([each.decode() for each in paused], [each.decode() for each in failing])

    async def leave(self, generation_id: str) -> bool:
        """Record that no submit of a claimed generation was sent.

        Return True if dispatch may claim again, because the submit window has room.
        """
        more = await self._redis.run(
            _LEAVE,
            {"gate": keys.GATE, "submits_under_way": keys.SUBMITS_UNDER_WAY},
            {"generation_id": generation_id},
        )
        return bool(more)

    async def pause(self, reason: str, now: datetime) -> Stops:
        """Close the account's gate until an operator resumes dispatch. Return what stopped it before."""
        return await self._stop("paused", reason, now)

    async def drain(self, reason: str, now: datetime) -> Stops:
        """Refuse new generations until an operator resumes dispatch. Return what stopped it before."""
        return await self._stop("draining", reason, now)

    async def _stop(self, stop: str, reason: str, now: datetime) -> Stops:
        reply = await self._redis.run(
            _STOP,
            {"gate": keys.GATE, "closed_gates": keys.CLOSED_GATES},
            {"stop": stop, "reason": reason, "now_ms": ids.milliseconds(now)},
        )
        return _stops(reply)

    async def resume(self) -> Stops:
        """Open every gate, whatever has closed it: an operator knows more than fal's last answer says.

        Return what stopped dispatch before.
        """
        reply = await self._redis.run(
            _RESUME,
            {
                "gate": keys.GATE,
                "failed_submits": keys.FAILED_SUBMITS,
                "locked_polls": keys.LOCKED_POLLS,
                "closed_gates": keys.CLOSED_GATES,
                **keys.DISPATCH_ORDER,
            },
            {"tenant_prefix": keys.tenant("")},
        )
        return _stops(reply)

    async def read(self) -> Gate:
        """Return the state of the account's gate, and how many tenants and generations failed."""
        reply = await self._redis.read(
            _STATE,
            {
                "gate": keys.GATE,
                "paused_tenants": keys.PAUSED_TENANTS,
                "closed_gates": keys.CLOSED_GATES,
                "failed_submits": keys.FAILED_SUBMITS,
                "active_tenants": keys.ACTIVE_TENANTS,
            },
            {"tenant_prefix": keys.tenant("")},
        )
        pause_reason, paused_at, draining, closed_by, close_reason, closed_at, retry_at, window, *counts = reply
        paused_tenants, held_tenants, failed_generations, failed_tenants, closed_tenants = counts
        cause, reason, since, next_probe = None, "", None, None
        if pause_reason is not None:
            cause, reason, since = PauseCause.PAUSED, pause_reason.decode(), moment(paused_at)
        elif closed_by is not None:
            cause, reason = PauseCause(closed_by.decode()), close_reason.decode()
            since, next_probe = moment(closed_at), moment(retry_at)
        return Gate(
            cause,
            reason,
            since,
            next_probe,
            draining=draining is not None,
            drain_reason="" if draining is None else draining.decode(),
            paused_tenants=paused_tenants,
            held_tenants=held_tenants,
            failed_generations=failed_generations,
            failed_tenants=failed_tenants,
            submits_at_once=FIRST_SUBMITS if window is None else int(window),
            closed_tenants=frozenset(tenant.decode() for tenant in closed_tenants),
        )


def _stops(reply: Sequence[Any]) -> Stops:
    *texts, closed = reply
    paused, draining, cause, reason = (None if text is None else text.decode() for text in texts)
    return Stops(
        paused, draining, None if cause is None else PauseCause(cause), reason if cause else None, closed or None
    )
