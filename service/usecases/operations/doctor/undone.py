"""Checks of work that waits for an operator or a tenant: unconfirmed submits, lost videos, receivers, dead letters."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from service.store.state.state import State, TenantState
from service.store.state.status import Figures
from service.usecases.operations.doctor.finding import Finding, ok, warn

#: Most submits with an unknown outcome are resolved sooner, by a callback or by fal's bill.
_LONG_UNCONFIRMED: Final = timedelta(minutes=10)
_LONG_FAILING: Final = timedelta(hours=1)
#: Tenants that a finding names.
_NAMED: Final = 3


def undone(state: State, now: datetime) -> list[Finding]:
    return [unconfirmed(state, now), paid_and_lost(state), _receivers(state, now), _dead_letters(state)]


def unconfirmed(state: State | Figures, now: datetime) -> Finding:
    name, since = "unconfirmed submits", state.oldest_unconfirmed
    if not state.unconfirmed or since is None:
        return ok(name, "none")
    detail = f"{state.unconfirmed}, the oldest for {_time(now - since)}"
    remedy = "List them with `seedance-gateway unconfirmed`; find each at fal, and `resolve` it."
    return warn(name, detail, remedy) if now - since > _LONG_UNCONFIRMED else ok(name, detail)


def paid_and_lost(state: State | Figures) -> Finding:
    name = "paid and lost"
    if not state.paid_and_lost:
        return ok(name, "none")
    remedy = "List them with `seedance-gateway paid-and-lost`; `revive` each before fal deletes its video."
    return warn(name, f"{state.paid_and_lost} videos of generations that were given up", remedy)


def _receivers(state: State, now: datetime) -> Finding:
    name = "webhook receivers"
    failing = [(t, now - t.failing) for t in state.tenants if t.failing and now - t.failing > _LONG_FAILING]
    if not failing:
        return ok(name, "none has failed for an hour")
    failing.sort(key=lambda pair: pair[1], reverse=True)
    texts = [f"{_named(t, state.names)} for {_time(since)}" for t, since in failing]
    remedy = "Inform the tenants; `endpoint_id` of `webhook_attempt` in the workers' logs names the receiver."
    return warn(name, f"all attempts fail of {_list(texts)}", remedy)


def _dead_letters(state: State) -> Finding:
    name = "dead letters"
    dead = sorted((t for t in state.tenants if t.dead), key=lambda t: t.dead, reverse=True)
    if not dead:
        return ok(name, "none")
    texts = [f"{t.dead} of {_named(t, state.names)}" for t in dead]
    remedy = "When the receiver works again, its tenant replays them: POST /v1/deliveries/replay."
    return warn(name, _list(texts), remedy)


def _named(tenant: TenantState, names: Mapping[str, str]) -> str:
    return f"{names.get(tenant.tenant_id, 'a deleted tenant')} ({tenant.tenant_id})"


def _list(texts: Sequence[str]) -> str:
    rest = len(texts) - _NAMED
    return ", ".join(texts[:_NAMED]) + (f" and {rest} more tenants" if rest > 0 else "")


def _time(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"
