"""What is wrong now: the checks of the doctor that are cheap enough for a page, each with its section of the runbook.

A read costs the same number of commands however many tenants and generations there are.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from service.clock import Clock
from service.domain.dispatch_gate import Gate, PauseCause
from service.domain.work_queue import WorkQueue
from service.store.gate.gate import GateStore
from service.store.redis import health
from service.store.redis.client import Redis
from service.store.state.heartbeats import HeartbeatStore
from service.store.state.state import AccountState, StateStore
from service.usecases.operations.doctor import processes, server, undone
from service.usecases.operations.doctor.finding import CheckStatus, Finding, ok, warn
from service.usecases.webhooks.operator_deliveries import OperatorDeliveries

#: The threshold of the alert WorkQueueLagging.
_LAGGING: Final = timedelta(seconds=60)
#: The threshold of the alert WebhookReceiverFailing.
_LONG_FAILING_MINUTES: Final = 60
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
class Status:
    now: datetime
    gate: Gate
    account: AccountState
    conditions: list[Condition]

    @property
    def wrong(self) -> list[Condition]:
        """Return what is not ok, failures first."""
        found = [each for each in self.conditions if each.finding.status is not CheckStatus.OK]
        return sorted(found, key=lambda each: each.finding.status is not CheckStatus.FAIL)


class StatusService:
    def __init__(
        self,
        redis: Redis,
        state: StateStore,
        gate: GateStore,
        heartbeats: HeartbeatStore,
        deliveries: OperatorDeliveries,
        *,
        clock: Clock,
    ) -> None:
        self._redis = redis
        self._state = state
        self._gate = gate
        self._heartbeats = heartbeats
        self._deliveries = deliveries
        self._clock = clock

    async def read(self) -> Status:
        """Raises StoreUnavailable."""
        now = self._clock()
        account, gate, heartbeats, info, (_, failing) = await asyncio.gather(
            self._state.read_account(now),
            self._gate.read(),
            self._heartbeats.read(),
            health.info(self._redis),
            self._deliveries.failing_receivers(minutes=_LONG_FAILING_MINUTES, limit=1),
        )
        skews = await self._heartbeats.skews(heartbeats)
        workers = processes.workers(heartbeats, now)
        is_probed = workers[0].status is CheckStatus.OK
        dispatch = processes.dispatch(gate, fal_accepts=False, is_probed=is_probed)
        findings = [
            dispatch,
            *workers,
            processes.beat(heartbeats, now),
            processes.worker_clocks(skews),
            ok("redis", "reachable"),
            await server.durability(self._redis, info),
            server.eviction(info),
            server.memory(self._redis, info),
            _lag(account, now),
            undone.unconfirmed(account, now),
            undone.paid_and_lost(account),
            _receivers(failing),
            _paused_tenants(gate),
        ]
        return Status(now, gate, account, [Condition(each, _runbook(each, gate)) for each in findings])


def _lag(account: AccountState, now: datetime) -> Finding:
    name = "work queues"
    oldest = {
        queue: now - depth.oldest
        for queue, depth in account.depths.items()
        if depth.oldest is not None and queue is not WorkQueue.DISPATCH  # its entries may wait for a slot
    }
    late = {queue: wait for queue, wait in oldest.items() if wait > _LAGGING}
    if not late:
        return ok(name, "none is late")
    detail = ", ".join(f"{queue} by {wait.total_seconds():.0f} s" for queue, wait in sorted(late.items()))
    return warn(name, f"late: {detail}", "Start more workers of these queues.")


def _receivers(failing: int) -> Finding:
    name = "webhook receivers"
    if not failing:
        return ok(name, "none has failed for an hour")
    remedy = "Inform their tenants; GET /admin/v1/failing-receivers names them."
    return warn(name, f"all attempts to {failing} receivers have failed for an hour", remedy)


def _paused_tenants(gate: Gate) -> Finding:
    name = "tenants"
    if not gate.paused_tenants:
        return ok(name, "none is paused")
    remedy = "`seedance-gateway tenants list` shows them; `tenants resume` ends a pause."
    return warn(name, f"{gate.paused_tenants} are paused by an operator", remedy)


def _runbook(finding: Finding, gate: Gate) -> str | None:
    if finding.check == "dispatch":
        return "dispatch-paused" if gate.hold is None else _RUNBOOK_OF_GATE[gate.hold]
    return next((section for name, section in _RUNBOOK.items() if finding.check.startswith(name)), None)
