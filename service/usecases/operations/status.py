"""What is wrong now: the checks of the doctor that are cheap enough for a page, each with its section of the runbook.

A read costs the same number of commands however many tenants and generations there are.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from service.clock import Clock
from service.domain.dispatch_gate import Gate, PauseCause
from service.store.gate.gate import GateStore
from service.store.redis import health
from service.store.redis.client import Redis
from service.store.state.heartbeats import HeartbeatStore
from service.store.state.status import Figures, SlowFigures, StatusStore
from service.store.tenants.tenants import TenantStore
from service.usecases.operations import conditions
from service.usecases.operations.doctor import processes, server, undone
from service.usecases.operations.doctor.finding import CheckStatus, Finding, ok, warn

#: The threshold of the alert WebhookReceiverFailing.
_LONG_FAILING: Final = timedelta(minutes=60)
#: Figures that change within minutes are read again after this time.
_SLOW: Final = timedelta(seconds=30)
#: Sections of the runbook by the name of the check, or by the beginning of the name.
_RUNBOOK: Final = {
    "redis memory": "redis-memory-high",
    "redis durability": "redis-not-durable",
    "redis eviction": "redis-not-durable",
    "beat": "beat-dead",
    "worker clocks": "clock-wrong",
    "workers of": "workers-missing",
    "work queue": "work-queue-lagging",
    "unconfirmed submits": "submits-unconfirmed",
    "paid and lost": "paid-and-lost",
    "webhook receivers": "webhook-receiver-failing",
    "oldest waiting work": "queue-age-high",
    "dead letters": "webhook-dead-letters",
    "budgets": "budget-nearly-spent",
    "prices": "price-changed",
    "storage of tenants": "tenant-storage-high",
    "audit trail": "audit-trail-broken",
    "tenants": "tenant-paused",
}
_RUNBOOK_OF_GATE: Final = {
    PauseCause.PAUSED: "dispatch-paused",
    PauseCause.LOCKED: "account-locked",
    PauseCause.FAILING: "submits-failing",
}


@dataclass(frozen=True, slots=True)
class Condition:
    finding: Finding
    runbook: str | None
    """Section of the runbook; None: the check has none."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A tenant with queued generations; ``since``: creation of the oldest one."""

    tenant_id: str
    name: str | None
    """None: the tenant was deleted."""
    since: datetime


@dataclass(frozen=True, slots=True)
class Status:
    now: datetime
    gate: Gate
    figures: Figures
    conditions: list[Condition]
    waiting: list[Waiting]
    """The tenants whose work waits longest. The choice is at most two minutes old."""

    @property
    def wrong(self) -> list[Condition]:
        """Return what is not ok, failures first."""
        found = [each for each in self.conditions if each.finding.status is not CheckStatus.OK]
        return sorted(found, key=lambda each: each.finding.status is not CheckStatus.FAIL)


class StatusService:
    def __init__(
        self,
        redis: Redis,
        figures: StatusStore,
        gate: GateStore,
        heartbeats: HeartbeatStore,
        tenants: TenantStore,
        *,
        account_budget: int | None,
        clock: Clock,
    ) -> None:
        """``account_budget``: of all tenants and a day, in micro-USD; None: no limit."""
        self._redis = redis
        self._figures = figures
        self._gate = gate
        self._heartbeats = heartbeats
        self._tenants = tenants
        self._account_budget = account_budget
        self._clock = clock
        self._slow: tuple[datetime, SlowFigures] | None = None

    async def read(self) -> Status:
        """Raises StoreUnavailable."""
        now = self._clock()
        figures, gate, heartbeats, info = await asyncio.gather(
            self._read_figures(now), self._gate.read(), self._heartbeats.read(), health.info(self._redis)
        )
        skews, names = await asyncio.gather(self._heartbeats.skews(heartbeats), self._names(figures))
        workers = processes.workers(heartbeats, now)
        is_probed = workers[0].status is CheckStatus.OK
        memory = health.memory(self._redis, info)
        findings = [
            processes.dispatch(gate, fal_accepts=False, is_probed=is_probed),
            *workers,
            processes.beat(heartbeats, now),
            processes.worker_clocks(skews),
            ok("redis", "reachable"),
            server.durability(info, figures.slow.fsync),
            server.eviction(info),
            server.memory(self._redis, info),
            undone.unconfirmed(figures, now),
            undone.paid_and_lost(figures),
            *conditions.of_figures(figures, names, memory, now, account_budget=self._account_budget),
            _paused_tenants(gate),
        ]
        waiting = [Waiting(tenant_id, names.get(tenant_id), since) for tenant_id, since in figures.waiting]
        return Status(now, gate, figures, [Condition(each, _runbook(each, gate)) for each in findings], waiting)

    async def _read_figures(self, now: datetime) -> Figures:
        """Read the figures; what changes within minutes only if this process has not read it within ``_SLOW``."""
        kept = None if self._slow is None or now - self._slow[0] >= _SLOW else self._slow[1]
        figures = await self._figures.read(
            now, failing_since=now - _LONG_FAILING, near=conditions.NEAR_BUDGET, slow=kept
        )
        if kept is None:
            self._slow = (now, figures.slow)
        return figures

    async def _names(self, figures: Figures) -> dict[str, str]:
        largest = [] if figures.slow.largest is None else [figures.slow.largest[0]]
        waiting = [tenant_id for tenant_id, _ in figures.waiting]
        return await self._tenants.names([*waiting, *figures.slow.near_budget, *largest])


def _paused_tenants(gate: Gate) -> Finding:
    name = "tenants"
    if not gate.paused_tenants:
        return ok(name, "none is paused")
    remedy = "`seedance-gateway tenants list` shows them; `tenants resume` ends a pause."
    return warn(name, f"{gate.paused_tenants} are paused by an operator", remedy)


def _runbook(finding: Finding, gate: Gate) -> str | None:
    if finding.check == "dispatch":
        if gate.hold is None:
            return "tenant-submits-failing" if gate.held_tenants and not gate.draining else "dispatch-paused"
        return _RUNBOOK_OF_GATE[gate.hold]
    if finding.check == "redis memory" and finding.status is CheckStatus.FAIL:
        return "redis-memory-full"
    return next((section for name, section in _RUNBOOK.items() if finding.check.startswith(name)), None)
