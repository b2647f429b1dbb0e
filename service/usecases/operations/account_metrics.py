"""The state of everybody as Prometheus reads it: Redis is asked at most once a second, however many ask us."""

import asyncio
import time
from collections.abc import Iterator, Sequence
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

_FRESH_SECONDS: Final = 1.0
#: A worker that has not been heard of for this long is not there.
_WORKER_SILENCE: Final = INTERVAL * 3
#: Two processes' clocks, each corrected by the store's, differ by less.
_CLOCK_ERROR_SECONDS: Final = 5.0

Series = Sequence[tuple[str, float]]
Family = tuple[StateGauge, Series]


class AccountMetrics:
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
                self._text = "".join(map(_family, await self._read())).encode()
                self._until = time.monotonic() + self._fresh_seconds
        return self._text

    def forget(self) -> None:
        """Forget the remembered text: the next scrape reads Redis."""
        self._until = 0.0

    async def _read(self) -> list[Family]:
        begun = time.perf_counter()
        try:
            state = await self._store.read(self._clock())
        except StoreUnavailable:
            return [(metrics.REDIS_UP, _one(0))]
        seconds = time.perf_counter() - begun
        now = self._clock()
        return [
            (metrics.REDIS_UP, _one(1)),
            (metrics.STATE_READ_SECONDS, _one(seconds)),
            *_of_redis(state),
            *_of_processes(state.heard, now),
            *_of_dispatch(state, now),
            (metrics.SLOTS_ALLOWED, _one(self._slots)),
            *_of_account(state, self._account_budget),
            (metrics.PRICE_CHANGED, [(r, state.price_mismatches.get(r, 0) >= MISMATCHES) for r in PIXELS]),
            *_of_tenants(state.tenants, now),
        ]


def _one(value: float) -> Series:
    return [("", value)]


def _of_redis(state: State) -> Iterator[Family]:
    memory = state.server.memory
    yield metrics.REDIS_MEMORY, _one(memory.used)
    if memory.limit is not None and memory.create_limit is not None:  # a limit of 0 would be exceeded at once
        yield metrics.REDIS_MEMORY_LIMIT, _one(memory.limit)
        yield metrics.REDIS_CREATE_LIMIT, _one(memory.create_limit)
    if state.server.durable is not None:
        yield metrics.REDIS_DURABLE, _one(state.server.durable)


def _of_processes(heard: Heartbeats, now: datetime) -> Iterator[Family]:
    if heard.beat is not None:
        yield metrics.BEAT_AGE, _one(_age(heard.beat, now))
    seen = {queue: heard.workers.get(queue, {}).values() for queue in QUEUES}
    yield (
        metrics.WORKERS,
        [(queue, sum(abs(now - last) <= _WORKER_SILENCE for last in marks)) for queue, marks in seen.items()],
    )


def _of_dispatch(state: State, now: datetime) -> Iterator[Family]:
    yield metrics.DUE_ENTRIES, [(drain, depth.entries) for drain, depth in state.depths.items()]
    yield metrics.OVERDUE_SECONDS, [(drain, _overdue(depth.oldest, now)) for drain, depth in state.depths.items()]
    yield metrics.DISPATCH_PAUSED, [(hold, state.gate.hold is hold) for hold in PauseCause]
    yield metrics.DRAINING, _one(state.gate.draining)
    yield metrics.TENANTS_PAUSED, _one(state.gate.paused_tenants)
    yield metrics.TENANTS_SUBMITS_FAILING, _one(state.gate.held_tenants)
    yield metrics.GENERATIONS_SUBMIT_FAILING, _one(state.gate.failed_generations)
    yield metrics.SUBMIT_WINDOW, _one(state.gate.submits_at_once)
    yield metrics.UNCONFIRMED, _one(state.unconfirmed)
    yield metrics.UNCONFIRMED_SECONDS, _one(_age(state.oldest_unconfirmed, now))
    yield metrics.PAID_AND_LOST, _one(state.paid_and_lost)
    yield metrics.SLOTS_USED, _one(state.slots_used)


def _of_account(state: State, budget: int | None) -> Iterator[Family]:
    yield metrics.ACCOUNT_HELD, _one(state.account.held)
    yield metrics.ACCOUNT_SPENT, _one(state.account.spent)
    if budget is not None:
        yield metrics.ACCOUNT_BUDGET, _one(budget)


def _of_tenants(tenants: Sequence[TenantState], now: datetime) -> Iterator[Family]:
    yield metrics.QUEUED, [(t.tenant_id, t.queued) for t in tenants]
    yield metrics.OLDEST_QUEUED_SECONDS, [(t.tenant_id, _age(t.oldest, now)) for t in tenants]
    yield metrics.TENANT_SLOTS, [(t.tenant_id, t.slots) for t in tenants]
    yield metrics.TENANT_HELD, [(t.tenant_id, t.held) for t in tenants]
    yield metrics.TENANT_SPENT, [(t.tenant_id, t.spent) for t in tenants]
    yield metrics.TENANT_BUDGET, [(t.tenant_id, t.budget) for t in tenants if t.budget is not None]
    yield metrics.WEBHOOKS_PENDING, [(t.tenant_id, t.pending) for t in tenants]
    yield metrics.WEBHOOK_BACKLOG, [(t.tenant_id, t.backlog) for t in tenants]
    yield metrics.DEAD_LETTERS, [(t.tenant_id, t.dead) for t in tenants]


def _age(since: datetime | None, now: datetime) -> float:
    """Seconds; of a moment that is well in the future its distance, since a mark that cannot be right is no news."""
    if since is None:
        return 0.0
    seconds = (now - since).total_seconds()
    return abs(seconds) if seconds < -_CLOCK_ERROR_SECONDS else max(0.0, seconds)


def _overdue(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())


def _family(family: Family) -> str:
    """Prometheus' text format; a label's values are our own words and ids, which need no escaping."""
    gauge, series = family
    begin = f'{gauge.name}{{{gauge.label}="' if gauge.label else gauge.name
    end = '"} ' if gauge.label else " "
    lines = [f"{begin}{value}{end}{float(number)!r}\n" for value, number in series]
    return "".join([f"# HELP {gauge.name} {gauge.documentation}\n# TYPE {gauge.name} gauge\n", *lines])
