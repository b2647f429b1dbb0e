"""What the store says of everybody, for the metrics: all of it in one exchange with Redis."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from service.domain import ids
from service.domain.drain import Drain
from service.domain.gate import Gate
from service.domain.money import Standing, day, month
from service.store import health, keys
from service.store.due import Depth
from service.store.gate import GateStore
from service.store.heartbeats import Heartbeats, HeartbeatStore
from service.store.redis import Redis, Script

_STATE: Final = Script("state")
#: Beyond so many of each, tenants and receivers have no gauges of their own: the read holds Redis up meanwhile.
_MOST: Final = 20_000
_COLUMNS: Final = 10


@dataclass(frozen=True, slots=True)
class TenantState:
    """Money in micro-USD, of this month; ``pending``, ``backlog`` and ``dead`` are deliveries."""

    tenant_id: str
    queued: int
    oldest: datetime | None
    slots: int
    held: int
    spent: int
    budget: int | None
    pending: int
    backlog: int
    dead: int


@dataclass(frozen=True, slots=True)
class Server:
    """What Redis says of itself. ``durable``: 2, a write is on disk before its answer; 1, within a second; 0, never."""

    memory: int
    limit: int
    durable: int | None


@dataclass(frozen=True, slots=True)
class State:
    slots_used: int
    unconfirmed: int
    oldest_unconfirmed: datetime | None
    account: Standing
    depths: Mapping[Drain, Depth]
    tenants: Sequence[TenantState]
    gate: Gate
    heard: Heartbeats
    server: Server


class StateStore:
    def __init__(self, redis: Redis, gate: GateStore, heartbeats: HeartbeatStore) -> None:
        self._redis = redis
        self._gate = gate
        self._heartbeats = heartbeats

    async def read(self, now: datetime) -> State:
        """Changes nothing; four questions that leave together."""
        reply, gate, heard, info, fsync = await asyncio.gather(
            self._script(now),
            self._gate.read(),
            self._heartbeats.read(),
            health.info(self._redis),
            health.setting(self._redis, "appendfsync"),
        )
        used, unconfirmed, oldest, held, spent, entries, since, rows = reply
        return State(
            slots_used=used,
            unconfirmed=unconfirmed,
            oldest_unconfirmed=_moment(oldest),
            account=Standing(int(held), int(spent)),
            depths={
                drain: Depth(count, _moment(first)) for drain, count, first in zip(Drain, entries, since, strict=True)
            },
            tenants=list(_tenants(rows)),
            gate=gate,
            heard=heard,
            server=_server(info, fsync),
        )

    async def _script(self, now: datetime) -> Any:
        before, _, after = keys.money_of_tenant("*", month(now)).partition("*")
        return await self._redis.run(
            _STATE,
            [
                keys.TENANTS,
                keys.SLOTS,
                keys.UNCONFIRMED,
                keys.money_of_account(day(now)),
                keys.due(Drain.DELIVER),
                *map(keys.due, Drain),
            ],
            keys.tenant(""),
            before,
            after,
            keys.lane(""),
            _MOST,
            ids.milliseconds(now),
        )


def _tenants(rows: Sequence[Any]) -> Iterator[TenantState]:
    for start in range(0, len(rows), _COLUMNS):
        name, queued, oldest, slots, held, spent, budget, pending, backlog, dead = rows[start : start + _COLUMNS]
        yield TenantState(
            name.decode(),
            queued,
            _moment(oldest),
            slots,
            int(held),
            int(spent),
            int(budget) if budget else None,
            pending,
            backlog,
            dead,
        )


def _server(info: Mapping[str, str], fsync: str | None) -> Server:
    limit = int(info.get("maxmemory", 0)) or int(info.get("total_system_memory", 0))
    return Server(int(info.get("used_memory", 0)), limit, _durable(info, fsync))


def _durable(info: Mapping[str, str], fsync: str | None) -> int | None:
    evicts = info.get("maxmemory_policy", "noeviction") != "noeviction" and info.get("maxmemory", "0") != "0"
    if info.get("aof_enabled") != "1" or info.get("aof_last_write_status", "ok") != "ok" or evicts:
        return 0
    return None if fsync is None else {"always": 2, "everysec": 1}.get(fsync, 0)


def _moment(milliseconds: bytes) -> datetime | None:
    return ids.from_milliseconds(int(float(milliseconds))) if milliseconds else None
