"""Checks of processes: the broker, beat, a worker for each queue, their clocks; and whether dispatch is open."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from celery import Celery

from service.clock import MOST_SKEW
from service.domain.dispatch_gate import Gate, PauseCause
from service.observability.causes import named
from service.store.state.heartbeats import INTERVAL, Heartbeats
from service.tasks import QUEUES, reach_broker
from service.usecases.operations.doctor.finding import Finding, fail, ok, warn

_BROKER_SECONDS: Final = 10.0
#: Beat sends a heartbeat once a second.
_BEAT_SILENCE: Final = timedelta(seconds=15)
_WORKER_SILENCE: Final = INTERVAL * 3


async def broker(app: Celery) -> Finding:
    try:
        async with asyncio.timeout(_BROKER_SECONDS):
            await asyncio.to_thread(reach_broker, app)
    except Exception as error:  # noqa: BLE001  (each transport has errors of its own, and their texts may hold its URL)
        remedy = "Check GATEWAY_BROKER_URL (unset: GATEWAY_REDIS_URL) and the server at that address."
        return fail("broker", f"not reachable ({named(error)})", remedy)
    return ok("broker", "reachable")


def beat(heartbeats: Heartbeats, now: datetime) -> Finding:
    remedy = "Run one `seedance-gateway beat`."
    if heartbeats.beat is None:
        return fail("beat", "no heartbeat yet", remedy)
    silence = abs(now - heartbeats.beat)
    detail = f"last heartbeat {_ago(silence)}"
    return fail("beat", detail, remedy) if silence > _BEAT_SILENCE else ok("beat", detail)


def workers(heartbeats: Heartbeats, now: datetime) -> list[Finding]:
    return [_workers_of(queue, heartbeats.workers.get(queue, {}), now) for queue in QUEUES]


def _workers_of(queue: str, known: dict[str, datetime], now: datetime) -> Finding:
    name = f"workers of {queue}"
    running = [worker for worker, last in known.items() if abs(now - last) <= _WORKER_SILENCE]
    if running:
        return ok(name, f"{len(running)}: {', '.join(sorted(running))}")
    last = max(known.values(), default=None)
    detail = "none" if last is None else f"none; last heartbeat {_ago(now - last)}"
    return fail(name, detail, f"Run `seedance-gateway worker --queues {queue}`.")


def worker_clocks(skews: Mapping[str, timedelta]) -> Finding:
    """Check the clocks of workers. A worker whose clock is wrong claims no work."""
    wrong = {name: skew for name, skew in skews.items() if abs(skew) > MOST_SKEW}
    if not wrong:
        return ok("worker clocks", f"{len(skews)} of {len(skews)} agree with Redis")
    detail = ", ".join(f"{name}: {skew.total_seconds():+.1f} s" for name, skew in sorted(wrong.items()))
    return fail("worker clocks", detail, "Synchronize these machines by NTP; until then their workers claim no work.")


def dispatch(gate: Gate, *, fal_accepts: bool, is_probed: bool) -> Finding:
    """Check the dispatch gate. ``fal_accepts`` the key now; ``is_probed``: a worker of dispatch tries submits."""
    failed = f"{gate.failed_generations} generations of {gate.failed_tenants} tenants since the last accepted submit"
    match gate.hold:
        case PauseCause.PAUSED:
            return warn("dispatch", f"paused by an operator: {gate.reason}", "`seedance-gateway resume` ends it.")
        case PauseCause.LOCKED:
            return _locked(gate, fal_accepts=fal_accepts, is_probed=is_probed)
        case PauseCause.FAILING:
            return warn(
                "dispatch",
                f"submits fail: {gate.reason} ({failed})",
                "See fal's status page; submits continue by themselves.",
            )
    if gate.draining:
        detail = f"draining, new generations are refused: {gate.drain_reason}"
        return warn("dispatch", detail, "`seedance-gateway resume` ends it.")
    if gate.held_tenants:
        detail = f"open; {gate.held_tenants} tenants are held: their own submits fail"
        return warn(
            "dispatch", detail, "Read `tenant_dispatch_stopped` in the workers' logs; each is retried automatically."
        )
    return ok("dispatch", "open")


def _locked(gate: Gate, *, fal_accepts: bool, is_probed: bool) -> Finding:
    refused = f"fal refused the account: {gate.reason}"
    if not fal_accepts:
        return fail("dispatch", refused, _remedy_of_lock(gate.reason or ""))
    if not is_probed:
        remedy = "Run a worker of dispatch, which tries a submit; `seedance-gateway resume` opens dispatch at once."
        return fail("dispatch", f"{refused}; fal answers now, and no worker tries a submit", remedy)
    remedy = "A worker tries a submit from time to time; `seedance-gateway resume` opens dispatch at once."
    return warn("dispatch", f"{refused}; fal answers now", remedy)


def _remedy_of_lock(reason: str) -> str:
    """Return what ends a lock, by fal's own text."""
    text = reason.lower()
    if any(word in text for word in ("balance", "billing", "credit", "top up")):
        return "Top up the balance at fal; a worker then tries a submit."
    if any(word in text for word in ("401", "key", "authenti", "unauthori", "credential")):
        return "Set a valid key in GATEWAY_FAL_KEY, and restart gateways and workers."
    return "Ask fal why it refuses the account, and check the permissions of GATEWAY_FAL_KEY."


def _ago(silence: timedelta) -> str:
    return f"{silence.total_seconds():.0f} s ago"
