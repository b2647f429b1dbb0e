"""Gauges of the account and its tenants, in Prometheus' text format.

One read of Redis serves all scrapes of a second.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from service.clock import Clock
from service.domain.dispatch_gate import PauseCause
from service.domain.pricing import PIXELS
from service.errors import StoreUnavailable
from service.observability import metrics
from service.observability.metrics import StateGauge
from service.store.state.heartbeats import INTERVAL, Heartbeats
from service.store.state.state import State, StateStore, TenantState
from service.tasks import QUEUES
from service.usecases.lifecycle.price_monitor import MISMATCHES
from service.usecases.operations import metric_series

_FRESH_SECONDS: Final = 1.0
#: A worker without a heartbeat for this long is counted as missing.
_WORKER_SILENCE: Final = INTERVAL * 3
#: Upper bound of the difference between two processes' clocks, each corrected by the clock of Redis.
_CLOCK_ERROR_SECONDS: Final = 5.0

Series = Sequence[tuple[tuple[str, ...], float]]
"""Label values, and the value of the gauge."""
Family = tuple[StateGauge, Series]


class AccountMetrics:
    """Read the state and render it as text, without prometheus-client.

    prometheus-client takes a millisecond for a hundred lines, and a thousand tenants have 10,000.
    """

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
        """Return the metrics as text, at most a second old."""
        async with self._reading:
            if time.monotonic() >= self._until:
                self._text = "".join(map(_family, await self._read())).encode()
                self._until = time.monotonic() + self._fresh_seconds
        return self._text

    def forget(self) -> None:
        """Drop the cached text, so that the next scrape reads Redis."""
        self._until = 0.0

    async def _read(self) -> list[Family]:
        begun = time.perf_counter()
        try:
            state = await self._store.read(self._clock())
        except StoreUnavailable:
            return [(metrics.REDIS_UP, _one(0))]
        seconds = time.perf_counter() - begun
        now = self._clock()
        metric_series.begin_tenants(state.names, active=(tenant.tenant_id for tenant in state.tenants))
        return [
            (metrics.REDIS_UP, _one(1)),
            (metrics.STATE_READ_SECONDS, _one(seconds)),
            *_of_redis(state),
            *_of_processes(state.heard, now),
            *_of_dispatch(state, now),
            (metrics.SLOTS_ALLOWED, _one(self._slots)),
            *_of_account(state, self._account_budget),
            (metrics.TRAIL_BREAKS, _one(state.trail_breaks)),
            (metrics.PRICE_CHANGED, _of_prices(state.price_mismatches)),
            (metrics.TENANT_INFO, [((tenant_id, _escaped(name)), 1) for tenant_id, name in state.names.items()]),
            (metrics.TENANT_STORED_BYTES, [((tenant_id,), size) for tenant_id, size in state.stored_bytes]),
            *_of_tenants(state.tenants, now),
        ]


def _of_prices(mismatches: Mapping[str, int]) -> Series:
    """Return one series for each resolution of the default model, and for those of others that had a mismatch."""
    return [((name,), mismatches.get(name, 0) >= MISMATCHES) for name in {**PIXELS, **mismatches}]


def _one(value: float) -> Series:
    return [((), value)]


def _of_redis(state: State) -> Iterator[Family]:
    memory = state.server.memory
    yield metrics.REDIS_MEMORY, _one(memory.used)
    if memory.limit is not None and memory.create_limit is not None:  # a limit of 0 would count as exceeded
        yield metrics.REDIS_MEMORY_LIMIT, _one(memory.limit)
        yield metrics.REDIS_CREATE_LIMIT, _one(memory.create_limit)
    if state.server.durable is not None:
        yield metrics.REDIS_DURABLE, _one(state.server.durable)


def _of_processes(heartbeats: Heartbeats, now: datetime) -> Iterator[Family]:
    if heartbeats.beat is not None:
        yield metrics.BEAT_AGE, _one(_age(heartbeats.beat, now))
    workers = {queue: heartbeats.workers.get(queue, {}).values() for queue in QUEUES}
    yield (
        metrics.WORKERS,
        [((queue,), sum(abs(now - last) <= _WORKER_SILENCE for last in lasts)) for queue, lasts in workers.items()],
    )


def _of_dispatch(state: State, now: datetime) -> Iterator[Family]:
    yield metrics.DUE_ENTRIES, [((queue,), depth.entries) for queue, depth in state.depths.items()]
    yield metrics.OVERDUE_SECONDS, [((queue,), _overdue(depth.oldest, now)) for queue, depth in state.depths.items()]
    yield metrics.DISPATCH_PAUSED, [((cause,), state.gate.hold is cause) for cause in PauseCause]
    yield metrics.DRAINING, _one(state.gate.draining)
    yield metrics.TENANTS_PAUSED, _one(state.gate.paused_tenants)
    yield metrics.TENANTS_SUBMITS_FAILING, _one(state.gate.held_tenants)
    yield metrics.TENANT_STOPPED, list(_stopped(state))
    yield metrics.GENERATIONS_SUBMIT_FAILING, _one(state.gate.failed_generations)
    yield metrics.SUBMIT_WINDOW, _one(state.gate.submits_at_once)
    yield metrics.UNCONFIRMED, _one(state.unconfirmed)
    yield metrics.UNCONFIRMED_SECONDS, _one(_age(state.oldest_unconfirmed, now))
    yield metrics.PAID_AND_LOST, _one(state.paid_and_lost)
    yield metrics.SLOTS_USED, _one(state.slots_used)


def _stopped(state: State) -> Iterator[tuple[tuple[str, ...], float]]:
    active = [tenant.tenant_id for tenant in state.tenants]
    for cause, stopped in ((PauseCause.PAUSED, set(state.paused)), (PauseCause.FAILING, set(state.failing))):
        for tenant_id in dict.fromkeys([*active, *stopped]):
            yield (tenant_id, cause), tenant_id in stopped


def _of_account(state: State, budget: int | None) -> Iterator[Family]:
    yield metrics.ACCOUNT_HELD, _one(state.account.held)
    yield metrics.ACCOUNT_SPENT, _one(state.account.spent)
    if budget is not None:
        yield metrics.ACCOUNT_BUDGET, _one(budget)


def _of_tenants(tenants: Sequence[TenantState], now: datetime) -> Iterator[Family]:
    yield metrics.QUEUED, [((t.tenant_id,), t.queued) for t in tenants]
    yield metrics.OLDEST_QUEUED_SECONDS, [((t.tenant_id,), _age(t.oldest, now)) for t in tenants]
    yield metrics.TENANT_SLOTS, [((t.tenant_id,), t.slots) for t in tenants]
    yield metrics.TENANT_HELD, [((t.tenant_id,), t.held) for t in tenants]
    yield metrics.TENANT_SPENT, [((t.tenant_id,), t.spent) for t in tenants]
    yield metrics.TENANT_BUDGET, [((t.tenant_id,), t.budget) for t in tenants if t.budget is not None]
    yield metrics.WEBHOOKS_PENDING, [((t.tenant_id,), t.pending) for t in tenants]
    yield metrics.WEBHOOK_BACKLOG, [((t.tenant_id,), t.backlog) for t in tenants]
    yield metrics.WEBHOOK_FAILING_SECONDS, [((t.tenant_id,), _age(t.failing, now)) for t in tenants]
    yield metrics.DEAD_LETTERS, [((t.tenant_id,), t.dead) for t in tenants]


def _age(since: datetime | None, now: datetime) -> float:
    """Return seconds. A time well in the future counts by its distance: it is wrong, and as stale as an old one."""
    if since is None:
        return 0.0
    seconds = (now - since).total_seconds()
    return abs(seconds) if seconds < -_CLOCK_ERROR_SECONDS else max(0.0, seconds)


def _overdue(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())


def _family(family: Family) -> str:
    """Render one gauge. Ids and constants need no escaping; other label values have passed ``_escaped``."""
    gauge, series = family
    labels = ",".join(f'{label}="%s"' for label in gauge.labels)
    line = f"{gauge.name}{{{labels}}} %r\n" if labels else f"{gauge.name} %r\n"
    lines = [line % (*values, float(number)) for values, number in series]
    return "".join([f"# HELP {gauge.name} {gauge.documentation}\n# TYPE {gauge.name} gauge\n", *lines])


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
