"""What holds dispatch: an operator's pause, a locked account, failing submits; the dispatch script reads it."""

from datetime import datetime, timedelta
from typing import Final, Literal

from service.domain import ids
from service.domain.gate import Gate, Hold
from service.store import keys
from service.store.redis import Redis, Script

_GATE: Final = Script("gate")
_FIELDS: Final = ("paused", "paused_at", "shut", "why", "since", "retry_at", "draining")

Signal = Literal["ok", "failing", "locked"]


class GateStore:
    """``failures``: submits in a row that may fail before dispatch is held. Probes: the first wait, and the longest."""

    def __init__(self, redis: Redis, *, failures: int, first_probe: timedelta, last_probe: timedelta) -> None:
        self._redis = redis
        self._failures = failures
        self._first_probe = first_probe
        self._last_probe = last_probe

    async def note(self, signal: Signal, reason: str, now: datetime) -> Literal["opened", "shut", ""]:
        """What an answer of fal's says about the next; what it changed."""
        changed: bytes = await self._redis.run(
            _GATE,
            [keys.GATE],
            signal,
            ids.milliseconds(now),
            self._failures,
            reason,
            round(self._first_probe / timedelta(milliseconds=1)),
            round(self._last_probe / timedelta(milliseconds=1)),
        )
        match changed:
            case b"opened":
                return "opened"
            case b"shut":
                return "shut"
        return ""

    async def pause(self, reason: str, now: datetime) -> None:
        await self._redis.execute("HSET", keys.GATE, "paused", reason, "paused_at", ids.milliseconds(now))

    async def drain(self, reason: str) -> None:
        await self._redis.execute("HSET", keys.GATE, "draining", reason)

    async def resume(self) -> None:
        """Whatever holds it: an operator knows better than the last answer."""
        await self._redis.execute("DEL", keys.GATE)

    async def read(self) -> Gate:
        fields, paused_tenants = await self._redis.gather(
            (("HMGET", keys.GATE, *_FIELDS), ("SCARD", keys.PAUSED)),
        )
        paused, paused_at, shut, why, since, retry_at, draining = fields
        if paused is not None:
            return Gate(Hold.PAUSED, paused.decode(), _moment(paused_at), None, draining is not None, paused_tenants)
        if shut is not None:
            hold = Hold(shut.decode())
            return Gate(hold, why.decode(), _moment(since), _moment(retry_at), draining is not None, paused_tenants)
        return Gate(draining=draining is not None, paused_tenants=paused_tenants)


def _moment(milliseconds: bytes | None) -> datetime | None:
    return None if milliseconds is None else ids.from_milliseconds(int(milliseconds))
