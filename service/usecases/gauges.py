"""The state of everybody as Prometheus reads it: Redis is asked at most once a second, however many ask us."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from service import metrics
from service.domain.gate import Hold
from service.errors import StoreUnavailable
from service.metrics import StateGauge
from service.queue import QUEUES
from service.store.heartbeats import INTERVAL, Heartbeats
from service.store.state import State, StateStore, TenantState
from service.usecases.moves import Clock

_FRESH_SECONDS: Final = 1.0
#: A worker that has not been heard of for this long is not there.
_WORKER_SILENCE: Final = INTERVAL * 3

Sample = tuple[StateGauge, tuple[str, ...], float]


class Gauges:
    """prometheus-client takes a millisecond for a hundred of these lines; a thousand tenants have 9,000."""

    def __init__(
        self,
        store: StateStore,
        *,
        slots: int,
        account_budget: int | None,
        clock: Clock,
        fresh_seconds: float = _FRESH_SECONDS,
    ) -> None:
        self._store = store
        self._slots = slots
        self._account_budget = account_budget
        self._clock = clock
        self._fresh_seconds = fresh_seconds
        self._text = b""
        self._until = 0.0
        self._reading = asyncio.Lock()

    async def text(self) -> bytes:
        async with self._reading:
            if time.monotonic() >= self._until:
                self._text = exposition(await self._samples())
                self._until = time.monotonic() + self._fresh_seconds
        return self._text

    async def _samples(self) -> list[Sample]:
        begun = time.perf_counter()
        try:
            state = await self._store.read(self._clock())
        except StoreUnavailable:
            return [(metrics.REDIS_UP, (), 0)]
        seconds = time.perf_counter() - begun
        now = self._clock()
        return [
            (metrics.REDIS_UP, (), 1),
            (metrics.REDIS_SECONDS, (), seconds),
            *_of_redis(state),
            *_of_processes(state.heard, now),
            *_of_dispatch(state, now),
            (metrics.SLOTS_ALLOWED, (), self._slots),
            *_of_account(state, self._account_budget),
            *(sample for tenant in state.tenants for sample in _of_tenant(tenant, now)),
        ]


def _of_redis(state: State) -> Iterator[Sample]:
    yield metrics.REDIS_MEMORY, (), state.server.memory
    yield metrics.REDIS_MEMORY_LIMIT, (), state.server.limit
    if state.server.durable is not None:
        yield metrics.REDIS_DURABLE, (), state.server.durable


def _of_processes(heard: Heartbeats, now: datetime) -> Iterator[Sample]:
    if heard.beat is not None:
        yield metrics.BEAT_SILENCE, (), _age(heard.beat, now)
    for queue in QUEUES:
        there = sum(now - last <= _WORKER_SILENCE for last in heard.workers.get(queue, {}).values())
        yield metrics.WORKERS, (queue,), there


def _of_dispatch(state: State, now: datetime) -> Iterator[Sample]:
    for drain, depth in state.depths.items():
        yield metrics.DUE, (drain,), depth.entries
        yield metrics.OVERDUE_SECONDS, (drain,), _age(depth.oldest, now)
    for hold in Hold:
        yield metrics.DISPATCH_HOLD, (hold,), state.gate.hold is hold
    yield metrics.DRAINING, (), state.gate.draining
    yield metrics.PAUSED_TENANTS, (), state.gate.paused_tenants
    yield metrics.UNCONFIRMED, (), state.unconfirmed
    yield metrics.UNCONFIRMED_SECONDS, (), _age(state.oldest_unconfirmed, now)
    yield metrics.SLOTS_USED, (), state.slots_used


def _of_account(state: State, budget: int | None) -> Iterator[Sample]:
    yield metrics.ACCOUNT_HELD, (), state.account.held
    yield metrics.ACCOUNT_SPENT, (), state.account.spent
    if budget is not None:
        yield metrics.ACCOUNT_BUDGET, (), budget


def _of_tenant(tenant: TenantState, now: datetime) -> Iterator[Sample]:
    label = (tenant.tenant_id,)
    yield metrics.QUEUED, label, tenant.queued
    yield metrics.OLDEST_QUEUED_SECONDS, label, _age(tenant.oldest, now)
    yield metrics.TENANT_SLOTS, label, tenant.slots
    yield metrics.HELD, label, tenant.held
    yield metrics.SPENT, label, tenant.spent
    if tenant.budget is not None:
        yield metrics.BUDGET, label, tenant.budget
    yield metrics.WEBHOOKS_PENDING, label, tenant.pending
    yield metrics.WEBHOOK_BACKLOG, label, tenant.backlog
    yield metrics.DEAD_LETTERS, label, tenant.dead


def _age(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since) / timedelta(seconds=1))


def exposition(samples: Iterable[Sample]) -> bytes:
    """Prometheus' text format; label values are our own words and ids, which need no escaping."""
    families = defaultdict[StateGauge, list[str]](list)
    for gauge, values, number in samples:
        families[gauge].append(f"{gauge.name}{_labels(gauge, values)} {float(number)!r}\n")
    return "".join(
        line
        for gauge, lines in families.items()
        for line in (f"# HELP {gauge.name} {gauge.documentation}\n# TYPE {gauge.name} gauge\n", *lines)
    ).encode()


def _labels(gauge: StateGauge, values: tuple[str, ...]) -> str:
    if not values:
        return ""
    return "{" + ",".join(f'{name}="{value}"' for name, value in zip(gauge.labels, values, strict=True)) + "}"
