"""What the store says of everybody, for the metrics: read-only scripts, and what Redis says of itself."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from service.domain import ids
from service.domain.budgets import Standing, day, month
from service.domain.dispatch_gate import Gate
from service.domain.work_queue import WorkQueue
from service.store import keys
from service.store.gate.gate import GateStore
from service.store.money.prices import PriceStore
from service.store.queues.due import Depth
from service.store.redis import health
from service.store.redis.client import Redis, Script
from service.store.redis.memory import Memory
from service.store.state.heartbeats import Heartbeats, HeartbeatStore

_STATE: Final = Script("state")
_TENANTS: Final = Script("tenant_states")
#: Tenants that one script looks at; Redis answers nobody else meanwhile.
_PAGE: Final = 500
#: Beyond so many, tenants and receivers have no gauges of their own.
_MOST: Final = 20_000
_COLUMNS: Final = 8


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
    """What Redis says of itself. ``durable``: 2, a write is on disk before its answer; 1, within a second; 0, never.

    None: it does not tell.
    """

    memory: Memory
    durable: int | None


@dataclass(frozen=True, slots=True)
class State:
    slots_used: int
    unconfirmed: int
    oldest_unconfirmed: datetime | None
    paid_and_lost: int
    account: Standing
    price_mismatches: Mapping[str, int]
    """By resolution: successes in a row that were billed other units than expected."""
    depths: Mapping[WorkQueue, Depth]
    tenants: Sequence[TenantState]
    gate: Gate
    heard: Heartbeats
    server: Server


class StateStore:
    def __init__(self, redis: Redis, gate: GateStore, heartbeats: HeartbeatStore, *, replicas: int) -> None:
        """``replicas``: as many are wanted, or nothing is accepted."""
        self._redis = redis
        self._replicas = replicas
        self._gate = gate
        self._heartbeats = heartbeats
        self._prices = PriceStore(redis)

    async def read(self, now: datetime) -> State:
        """Changes nothing."""
        reply, rows, gate, heard, prices, info, fsync = await asyncio.gather(
            self._together(now),
            self._of_tenants(now),
            self._gate.read(),
            self._heartbeats.read(),
            self._prices.mismatches(),
            health.info(self._redis),
            health.setting(self._redis, "appendfsync"),
        )
        used, unconfirmed, oldest, held, spent, entries, since, lanes, paid_and_lost = reply
        return State(
            slots_used=used,
            unconfirmed=unconfirmed,
            oldest_unconfirmed=_moment(oldest),
            paid_and_lost=paid_and_lost,
            account=Standing(int(held), int(spent)),
            price_mismatches=prices,
            depths={
                drain: Depth(count, _moment(first))
                for drain, count, first in zip(WorkQueue, entries, since, strict=True)
            },
            tenants=_tenants(rows, _undone(lanes)),
            gate=gate,
            heard=heard,
            server=Server(health.memory(self._redis, info), _durable(info, fsync, self._replicas)),
        )

    async def _together(self, now: datetime) -> Any:
        return await self._redis.look(
            _STATE,
            [
                keys.SLOTS,
                keys.UNCONFIRMED,
                keys.money_of_account(day(now)),
                keys.due(WorkQueue.DELIVER),
                keys.PAID_AND_LOST,
                *map(keys.due, WorkQueue),
            ],
            keys.lane(""),
            _MOST,
            ids.milliseconds(now),
        )

    async def _of_tenants(self, now: datetime) -> list[Any]:
        before, _, after = keys.money_of_tenant("*", month(now)).partition("*")
        found: list[Any] = []
        for start in range(0, _MOST, _PAGE):
            looked_at, *rows = await self._redis.look(
                _TENANTS, [keys.TENANTS], start, start + _PAGE - 1, keys.tenant(""), before, after
            )
            found += rows
            if looked_at < _PAGE:
                break
        return found


def _undone(lanes: Sequence[Any]) -> dict[str, tuple[int, int]]:
    """Deliveries of each tenant that are not done, and those of them that are due."""
    found: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for lane, pending, due in zip(lanes[::3], lanes[1::3], lanes[2::3], strict=True):
        tenant_id = lane.decode().partition(":")[0]
        before = found[tenant_id]
        found[tenant_id] = (before[0] + pending, before[1] + due)
    return found


def _tenants(rows: Sequence[Any], undone: dict[str, tuple[int, int]]) -> list[TenantState]:
    found = []
    for start in range(0, len(rows), _COLUMNS):
        name, queued, oldest, slots, held, spent, budget, dead = rows[start : start + _COLUMNS]
        tenant_id = name.decode()
        found.append(
            TenantState(
                tenant_id,
                queued,
                _moment(oldest),
                slots,
                int(held),
                int(spent),
                int(budget) if budget else None,
                *undone.pop(tenant_id, (0, 0)),
                dead,
            )
        )
    rest = (TenantState(tenant_id, 0, None, 0, 0, 0, None, *counts, 0) for tenant_id, counts in undone.items())
    return [*found, *rest]


def _durable(info: Mapping[str, str], fsync: str | None, replicas: int) -> int | None:
    if int(info.get("connected_slaves", 0)) < replicas:
        return 0
    evicts = info.get("maxmemory_policy", "noeviction") != "noeviction" and info.get("maxmemory", "0") != "0"
    if info.get("aof_enabled") != "1" or info.get("aof_last_write_status", "ok") != "ok" or evicts:
        return 0
    return None if fsync is None else {"always": 2, "everysec": 1}.get(fsync, 0)


def _moment(milliseconds: bytes) -> datetime | None:
    return ids.from_milliseconds(int(float(milliseconds))) if milliseconds else None
