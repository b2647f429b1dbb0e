"""Who should be running: the broker, beat, a worker for every queue; and whether dispatch is held."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from celery import Celery

from service.clock import MOST_SKEW
from service.domain.dispatch_gate import Gate, PauseCause
from service.store.state.heartbeats import INTERVAL, Heartbeats
from service.tasks import QUEUES, reach_broker
from service.usecases.operations.doctor.finding import Finding, fail, ok, warn

_BROKER_SECONDS: Final = 10.0
#: Beat says once a second that it runs.
_BEAT_SILENCE: Final = timedelta(seconds=15)
_WORKER_SILENCE: Final = INTERVAL * 3


async def broker(app: Celery) -> Finding:
    try:
        async with asyncio.timeout(_BROKER_SECONDS):
            await asyncio.to_thread(reach_broker, app)
    except Exception as error:  # noqa: BLE001  (each transport has errors of its own; their texts may hold its URL)
        remedy = "Look at GATEWAY_BROKER_URL (unset: GATEWAY_REDIS_URL) and at what listens there."
        return fail("broker", f"not reached ({type(error).__name__})", remedy)
    return ok("broker", "reached")


def beat(heard: Heartbeats, now: datetime) -> Finding:
    remedy = "Run one `seedance-gateway beat`."
    if heard.beat is None:
        return fail("beat", "never heard of", remedy)
    silence = abs(now - heard.beat)
    told = f"heard {_ago(silence)}"
    return fail("beat", told, remedy) if silence > _BEAT_SILENCE else ok("beat", told)


def workers(heard: Heartbeats, now: datetime) -> list[Finding]:
    return [_workers_of(queue, heard.workers.get(queue, {}), now) for queue in QUEUES]


def _workers_of(queue: str, known: dict[str, datetime], now: datetime) -> Finding:
    name = f"workers of {queue}"
    there = [worker for worker, last in known.items() if abs(now - last) <= _WORKER_SILENCE]
    if there:
        return ok(name, f"{len(there)}: {', '.join(sorted(there))}")
    last = max(known.values(), default=None)
    told = "none" if last is None else f"none; the last was heard {_ago(now - last)}"
    return fail(name, told, f"Run `seedance-gateway worker --queues {queue}`.")


def worker_clocks(skews: Mapping[str, timedelta]) -> Finding:
    """A worker whose clock is wrong claims nothing."""
    wrong = {name: skew for name, skew in skews.items() if abs(skew) > MOST_SKEW}
    if not wrong:
        return ok("worker clocks", f"{len(skews)} of {len(skews)} agree with Redis'")
    told = ", ".join(f"{name}: {skew.total_seconds():+.1f} s" for name, skew in sorted(wrong.items()))
    return fail("worker clocks", told, "Set the clocks of these machines by NTP; until then they do no work.")


def dispatch(gate: Gate) -> Finding:
    failed = f"{gate.failed_generations} generations of {gate.failed_tenants} tenants since the last accepted submit"
    match gate.hold:
        case PauseCause.PAUSED:
            return warn("dispatch", f"paused by an operator: {gate.reason}", "`seedance-gateway resume` ends it.")
        case PauseCause.LOCKED:
            return fail("dispatch", f"fal refuses the account: {gate.reason}", "Top up, or look at GATEWAY_FAL_KEY.")
        case PauseCause.FAILING:
            return warn(
                "dispatch", f"submits fail: {gate.reason} ({failed})", "Look at fal's status; it goes on by itself."
            )
    if gate.draining:
        return warn("dispatch", "draining: nothing new is accepted", "`seedance-gateway resume` ends it.")
    if gate.held_tenants:
        told = f"open; {gate.held_tenants} tenants are held, whose own submits fail"
        return warn(
            "dispatch", told, "Read `tenant_dispatch_stopped` in the workers' logs; each is tried again by itself."
        )
    return ok("dispatch", "open")


def _ago(silence: timedelta) -> str:
    return f"{silence.total_seconds():.0f} s ago"
