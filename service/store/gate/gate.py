"""What holds dispatch: an operator's pause, a locked account, failing submits; the dispatch script reads it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from service.domain import ids
from service.domain.dispatch_gate import FIRST_SUBMITS, Gate, PauseCause
from service.store import keys
from service.store.redis.client import Redis, Script

_GATE: Final = Script("gate")
_LOCK: Final = Script("lock")
_UNLOCK: Final = Script("unlock")
_LEAVE: Final = Script("leave")
_RESUME: Final = Script("resume")
_STATE: Final = Script("gate_state")
_FAIR_KEYS: Final = (keys.FAIR, keys.RESTING, keys.PRESENT)

#: A refused poll is repeated sooner; what is older says nothing of the account any more.
_REFUSED_POLL: Final = timedelta(seconds=60)

Signal = Literal["taken", "answered", "refused", "locked", "unsent", "unknown"]
"""Accepted; refused for its body; refused for another reason; 401 or 403; not a byte was sent; fal may have it."""


@dataclass(frozen=True, slots=True)
class Noted:
    """What a submit's outcome changed. ``shut``: the account is held; ``held``: its tenant is; ``opened``: neither."""

    change: Literal["opened", "shut", "held", ""] = ""
    refusals: int = 0
    """Submits of this generation that fal refused while it accepted others'."""
    wanted: bool = False
    """Dispatch may take what the limit of submits under way kept back."""


class GateStore:
    """``failures``: distinct generations whose submits fail before dispatch is held.

    ``first_probe``, ``last_probe``: the first wait for a probe and the longest. ``most``: submits under way at most.
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
        self._waits = _milliseconds(first_probe), _milliseconds(last_probe)
        self._most = most

    async def note(self, signal: Signal, reason: str, now: datetime, *, generation_id: str, tenant_id: str) -> Noted:
        """Note the outcome of a generation's submit."""
        change, refusals, wanted = await self._redis.run(
            _GATE,
            [
                keys.GATE,
                keys.FAILED,
                keys.UNDER_WAY,
                keys.HELD,
                keys.generation(generation_id),
                keys.failed_of_tenant(tenant_id),
                keys.gate_of_tenant(tenant_id),
                *_FAIR_KEYS,
                keys.LOCKED_POLLS,
            ],
            signal,
            ids.milliseconds(now),
            generation_id,
            tenant_id,
            self._failures,
            reason,
            *self._waits,
            FIRST_SUBMITS,
            self._most,
            keys.tenant(""),
        )
        return Noted(change.decode(), refusals, wanted == 1)

    async def note_locked_poll(
        self, reason: str, now: datetime, *, generation_id: str, tenant_id: str, sent_at: datetime, enough: int
    ) -> bool:
        """Note a poll that fal refused with 401 or 403; True: ``enough`` generations' were, so dispatch is held."""
        change = await self._redis.run(
            _LOCK,
            [
                keys.GATE,
                keys.LOCKED_POLLS,
                keys.HELD,
                *_FAIR_KEYS,
                keys.SLOTS,
                keys.slots_of_tenant(tenant_id),
            ],
            ids.milliseconds(now),
            generation_id,
            ids.milliseconds(sent_at),
            enough,
            reason,
            *self._waits,
            keys.tenant(""),
            _milliseconds(_REFUSED_POLL),
            tenant_id,
        )
        return bool(change == b"shut")

    async def note_answered_poll(self) -> bool:
        """Note a poll that fal answered after it had refused others; True: dispatch is not held by these any more."""
        change = await self._redis.run(_UNLOCK, [keys.GATE, keys.LOCKED_POLLS])
        return bool(change == b"opened")

    async def leave(self, generation_id: str) -> bool:
        """A claimed generation is not under way any more, unsent; True: dispatch may take what waited for that."""
        return bool(await self._redis.run(_LEAVE, [keys.GATE, keys.UNDER_WAY], generation_id))

    async def pause(self, reason: str, now: datetime) -> None:
        await self._redis.execute("HSET", keys.GATE, "paused", reason, "paused_at", ids.milliseconds(now))

    async def drain(self, reason: str) -> None:
        await self._redis.execute("HSET", keys.GATE, "draining", reason)

    async def resume(self) -> None:
        """End every hold, whatever its cause: an operator knows better than the last answer."""
        await self._redis.run(
            _RESUME, [keys.GATE, keys.FAILED, keys.LOCKED_POLLS, keys.HELD, *_FAIR_KEYS], keys.tenant("")
        )

    async def read(self) -> Gate:
        reply = await self._redis.look(
            _STATE, [keys.GATE, keys.PAUSED, keys.HELD, keys.FAILED, keys.FAIR], keys.tenant("")
        )
        paused, paused_at, draining, shut, why, since, retry_at, window, *counts = reply
        paused_tenants, held_tenants, failed_generations, failed_tenants = counts
        hold, reason, begun, until = None, "", None, None
        if paused is not None:
            hold, reason, begun = PauseCause.PAUSED, paused.decode(), _moment(paused_at)
        elif shut is not None:
            hold, reason, begun, until = PauseCause(shut.decode()), why.decode(), _moment(since), _moment(retry_at)
        return Gate(
            hold,
            reason,
            begun,
            until,
            draining=draining is not None,
            paused_tenants=paused_tenants,
            held_tenants=held_tenants,
            failed_generations=failed_generations,
            failed_tenants=failed_tenants,
            submits_at_once=FIRST_SUBMITS if window is None else int(window),
        )


def _milliseconds(duration: timedelta) -> int:
    return round(duration / timedelta(milliseconds=1))


def _moment(milliseconds: bytes | None) -> datetime | None:
    return None if milliseconds is None else ids.from_milliseconds(int(milliseconds))
