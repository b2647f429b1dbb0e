"""Why a tenant's generations are held, and the limits of submits."""

from datetime import timedelta

import pytest

from service.domain.dispatch_gate import FIRST_SUBMITS, HOLD_TEXTS, Gate, HoldReason, PauseCause, Ramp
from service.domain.tenant import Pause
from tests.support import factories
from tests.support.factories import NOW

TENANT = factories.tenant(id="ten_1")
PAUSED = factories.tenant(id="ten_1", paused=Pause("unpaid", NOW))
CLOSED = frozenset({"ten_1"})


@pytest.mark.parametrize(
    ("gate", "reason"),
    [
        (Gate(), None),
        (Gate(draining=True, held_tenants=1), None),
        (Gate(closed_tenants=frozenset({"ten_2"})), None),
        (Gate(PauseCause.PAUSED), HoldReason.PAUSED),
        (Gate(PauseCause.LOCKED), HoldReason.ACCOUNT_LOCKED),
        (Gate(PauseCause.FAILING), HoldReason.UPSTREAM_FAILING),
        (Gate(closed_tenants=CLOSED), HoldReason.TENANT_FAILING),
        (Gate(PauseCause.LOCKED, closed_tenants=CLOSED), HoldReason.ACCOUNT_LOCKED),
    ],
)
def test_hold_reason_of_the_gate(gate: Gate, reason: HoldReason | None) -> None:
    assert gate.holds(TENANT) is reason


@pytest.mark.parametrize("gate", [Gate(), Gate(PauseCause.LOCKED), Gate(closed_tenants=CLOSED)])
def test_hold_reason_of_a_paused_tenant_is_its_own_pause(gate: Gate) -> None:
    assert gate.holds(PAUSED) is HoldReason.TENANT_PAUSED


def test_every_hold_reason_has_a_sentence() -> None:
    assert set(HOLD_TEXTS) == set(HoldReason)


@pytest.mark.parametrize(
    ("slots", "share", "most", "unconfirmed"),
    [
        (100, 0.25, 25, 25),
        (32, 0.25, 8, 8),
        (36, 0.25, 9, 9),
        (39, 0.25, 9, 9),  # rounded down
        (31, 0.25, FIRST_SUBMITS, 7),  # never less than the first window
        (2, 0.25, FIRST_SUBMITS, 1),  # one unconfirmed generation at least takes a slot
        (10, 0.0, FIRST_SUBMITS, 1),
    ],
)
def test_ramp_is_a_share_of_the_slots(slots: int, share: float, most: int, unconfirmed: int) -> None:
    timeout = timedelta(seconds=30)
    assert Ramp.of(slots, share, submit_timeout=timeout) == Ramp(FIRST_SUBMITS, most, unconfirmed, timeout)
