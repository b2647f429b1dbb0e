"""Account-wide state for the metrics: read-only scripts, and the state of the Redis server."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, Self

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
from service.store.state.stored_bytes import StoredBytesStore
from service.store.times import moment
from service.store.trail.checks import TrailCheckStore

_STATE: Final = Script("state")
_TENANTS: Final = Script("tenant_states")
_DUE_DELIVERIES: Final = Script("due_deliveries")
#: Tenants or endpoint queues that one script reads: Redis serves no other client meanwhile.
_PAGE: Final = 100
#: Names that one command reads.
_NAMES: Final = 1000
#: Tenants and endpoints beyond this number have no gauges of their own.
_MOST: Final = 20_000
#: Tenants with a gauge of the bytes that they store: the largest.
_LARGEST: Final = 200
_COLUMNS: Final = 8


@dataclass(frozen=True, slots=True)
class TenantState:
    """Figures of one tenant. Money is of this month; ``pending``, ``backlog`` (due) and ``dead`` are deliveries.

    ``failing``: since when all attempts to one of its receivers have failed.
    """

    tenant_id: str
    queued: int
    oldest: datetime | None
    slots: int
    held: int
    spent: int
    budget: int | None
    pending: int
    backlog: int
    failing: datetime | None
    dead: int


class _Deliveries(NamedTuple):
    """Deliveries of one tenant, as in ``TenantState``."""

    pending: int
    backlog: int
    failing: datetime | None

    def plus(self, pending: int, due: int, failing: datetime | None) -> Self:
        """Add a further part of the tenant's endpoint queues."""
        since = [each for each in (self.failing, failing) if each is not None]
        return self._replace(pending=pending, backlog=self.backlog + due, failing=min(since, default=None))


_NONE: Final = _Deliveries(0, 0, None)


@dataclass(frozen=True, slots=True)
class Server:
    """State of the Redis server.

    ``durable``: 2, a write is on disk before its reply; 1, within a second; 0, never; None, the server does not say.
    """

    memory: Memory
    durable: int | None


@dataclass(frozen=True, slots=True)
class AccountState:
    """Figures that are kept for all tenants together: a read of them does not grow with the tenants."""

    slots_used: int
    unconfirmed: int
    oldest_unconfirmed: datetime | None
    paid_and_lost: int
    money: Standing
    """Of today."""
    depths: Mapping[WorkQueue, Depth]


@dataclass(frozen=True, slots=True)
class State:
    """State of the whole deployment at one time."""

    slots_used: int
    unconfirmed: int
    oldest_unconfirmed: datetime | None
    paid_and_lost: int
    account: Standing
    price_mismatches: Mapping[str, int]
    """By resolution: successes in a row that were billed other units than expected."""
    depths: Mapping[WorkQueue, Depth]
    names: Mapping[str, str]
    """Of every tenant, by its id."""
    tenants: Sequence[TenantState]
    """Of each tenant with something queued, at fal, undelivered or dead, or with a generation of this month."""
    gate: Gate
    paused: Sequence[str]
    """Tenants that an operator has paused, some of them if they are many."""
    failing: Sequence[str]
    """Tenants whose dispatch is stopped because their own submits fail."""
    heard: Heartbeats
    server: Server
    stored_bytes: Sequence[tuple[str, int]]
    """Estimates of the tenants that store most."""
    trail_breaks: int
    """Places where the chain of the audit trail is broken."""


class StateStore:
    """Reads the state of the whole deployment."""

    def __init__(self, redis: Redis, gate: GateStore, heartbeats: HeartbeatStore, *, replicas: int) -> None:
        """``replicas``: the number of replicas that every write waits for."""
        self._redis = redis
        self._replicas = replicas
        self._gate = gate
        self._heartbeats = heartbeats
        self._prices = PriceStore(redis)
        self._stored_bytes = StoredBytesStore(redis)
        self._trail_checks = TrailCheckStore(redis)

    async def read(self, now: datetime) -> State:
        """Return the state; nothing is written."""
        counted, pending, (names, rows), gate, stopped, beats, *others = await asyncio.gather(
            self._read_account(now),
            self._read_pending(now),
            self._read_tenants(now),
            self._gate.read(),
            self._gate.stopped_tenants(_LARGEST),
            self._heartbeats.read(),
            self._prices.mismatches(),
            health.info(self._redis),
            health.setting(self._redis, "appendfsync"),
            self._stored_bytes.largest(_LARGEST),
            self._trail_checks.breaks(),
        )
        mismatches, info, fsync, stored, breaks = others
        account = _account(counted)
        return State(
            slots_used=account.slots_used,
            unconfirmed=account.unconfirmed,
            oldest_unconfirmed=account.oldest_unconfirmed,
            paid_and_lost=account.paid_and_lost,
            account=account.money,
            price_mismatches=mismatches,
            depths=account.depths,
            names=names,
            tenants=_tenants(rows, pending),
            gate=gate,
            paused=stopped.paused,
            failing=stopped.failing,
            heard=beats,
            server=Server(health.memory(self._redis, info), _durable(info, fsync, self._replicas)),
            stored_bytes=stored,
            trail_breaks=breaks,
        )

    async def _read_account(self, now: datetime) -> Any:
        return await self._redis.read(
            _STATE,
            {
                "slots": keys.SLOTS,
                "unconfirmed": keys.UNCONFIRMED,
                "account_day": keys.money_of_account(day(now)),
                "paid_and_lost": keys.PAID_AND_LOST,
                "due_sets": [keys.due(work_queue) for work_queue in WorkQueue],
            },
        )

    async def _read_pending(self, now: datetime) -> dict[str, _Deliveries]:
        """Return the deliveries of each tenant. What is due or fails is of its share of ``_MOST`` endpoint queues."""
        tenants = await self._with_deliveries()
        share = max(1, _MOST // max(1, len(tenants)))
        width = min(share, _PAGE)
        found: dict[str, _Deliveries] = {}
        for first in range(0, share, width):
            unread: list[str] = []
            for start in range(0, len(tenants), _PAGE // width):
                page = tenants[start : start + _PAGE // width]
                reply = await self._redis.read(
                    _DUE_DELIVERIES,
                    {},
                    {
                        "tenant_prefix": keys.tenant(""),
                        "endpoint_queue_prefix": keys.endpoint_queue(""),
                        "now_ms": ids.milliseconds(now),
                        "first": first,
                        "last": first + width - 1,
                        "tenants": page,
                    },
                )
                for tenant_id, pending, due, more, failing in zip(page, *(reply[n::4] for n in range(4)), strict=True):
                    found[tenant_id] = found.get(tenant_id, _NONE).plus(pending, due, moment(failing))
                    unread += [tenant_id] if more else []
            tenants = unread
        return found

    async def _with_deliveries(self) -> list[str]:
        """Return the tenants that have pending deliveries."""
        found: dict[str, None] = {}
        for proven in (True, False):
            for start in range(0, _MOST, _NAMES):
                key = keys.due_of_deliveries(proven=proven)
                names = await self._redis.execute("ZRANGE", key, start, start + _NAMES - 1)
                found.update(dict.fromkeys(name.decode() for name in names))
                if len(names) < _NAMES:
                    break
        return list(found)

    async def _read_tenants(self, now: datetime) -> tuple[dict[str, str], list[Any]]:
        """Return the name of each tenant by its id, and the columns of the active tenants."""
        money_prefix, _, money_suffix = keys.money_of_tenant("*", month(now)).partition("*")
        names: dict[str, str] = {}
        columns: list[Any] = []
        for start in range(0, _MOST, _PAGE):
            page_size, named, rows = await self._redis.read(
                _TENANTS,
                {"tenants": keys.TENANTS},
                {
                    "first": start,
                    "last": start + _PAGE - 1,
                    "tenant_prefix": keys.tenant(""),
                    "money_prefix": money_prefix,
                    "money_suffix": money_suffix,
                },
            )
            names.update((one.decode(), name.decode()) for one, name in zip(named[::2], named[1::2], strict=True))
            columns += rows
            if page_size < _PAGE:
                break
        return names, columns


def _account(reply: Any) -> AccountState:
    """Read the reply of state.lua."""
    used, unconfirmed, oldest, held, spent, entries, oldest_entries, paid_and_lost = reply
    return AccountState(
        slots_used=used,
        unconfirmed=unconfirmed,
        oldest_unconfirmed=moment(oldest),
        paid_and_lost=paid_and_lost,
        money=Standing(int(held), int(spent)),
        depths={
            work_queue: Depth(count, moment(first))
            for work_queue, count, first in zip(WorkQueue, entries, oldest_entries, strict=True)
        },
    )


def _tenants(rows: Sequence[Any], pending: dict[str, _Deliveries]) -> list[TenantState]:
    """Read the rows of tenant_states.lua. Tenants with pending deliveries only have no row."""
    found = []
    for start in range(0, len(rows), _COLUMNS):
        name, queued, oldest, slots, held, spent, budget, dead = rows[start : start + _COLUMNS]
        tenant_id = name.decode()
        found.append(
            TenantState(
                tenant_id,
                queued,
                moment(oldest),
                slots,
                int(held),
                int(spent),
                int(budget) if budget else None,
                *pending.pop(tenant_id, _NONE),
                dead,
            )
        )
    rest = (TenantState(tenant_id, 0, None, 0, 0, 0, None, *counts, 0) for tenant_id, counts in pending.items())
    return [*found, *rest]


def _durable(info: Mapping[str, str], fsync: str | None, replicas: int) -> int | None:
    if int(info.get("connected_slaves", 0)) < replicas:
        return 0
    evicts = info.get("maxmemory_policy", "noeviction") != "noeviction" and info.get("maxmemory", "0") != "0"
    if info.get("aof_enabled") != "1" or info.get("aof_last_write_status", "ok") != "ok" or evicts:
        return 0
    return None if fsync is None else {"always": 2, "everysec": 1}.get(fsync, 0)
