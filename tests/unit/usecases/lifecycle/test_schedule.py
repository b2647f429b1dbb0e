"""Due times: when a generation is polled next, and how the number of polled generations bounds the pace."""

from datetime import timedelta

import pytest

from service.domain.status import Status
from service.runtime.core import build_schedule
from service.usecases.lifecycle.poll_pacer import PollPacer
from tests.support import factories
from tests.support.factories import NOW

SETTINGS = factories.settings("redis://unused")


@pytest.mark.parametrize("troubled", [0, 1, 5, 1000])
@pytest.mark.parametrize("cancel_failures", [0, 1, 5, 1000])
@pytest.mark.parametrize("in_flight", [1, 1000, 50_000])
def test_next_poll_holds_the_budget_in_every_state(troubled: int, cancel_failures: int, in_flight: int) -> None:
    schedule = build_schedule(SETTINGS)
    g = factories.in_status(Status.IN_PROGRESS).cancel_requested(NOW)
    for _ in range(troubled):
        g = g.poll_failed(NOW)
    for _ in range(cancel_failures):
        g = g.cancel_refused()
    wait = schedule.next_poll(g, NOW, in_flight=in_flight) - NOW
    first_cancel = not troubled and not cancel_failures
    floor = timedelta() if first_cancel else timedelta(seconds=in_flight / SETTINGS.polls_per_second) * 0.9
    assert wait >= floor, "only the first cancel call is due at once; the budget of the claim bounds it"


def test_pacer_due_after_many_claimed_polls_is_later() -> None:
    pacer = PollPacer(build_schedule(SETTINGS))
    g = factories.in_status(Status.SUBMITTED)
    alone = pacer.due(g, NOW).poll
    pacer.observe(int(SETTINGS.polls_per_second * 1000))
    crowded = pacer.due(g, NOW).poll
    assert alone is not None
    assert crowded is not None
    assert alone - NOW <= SETTINGS.poll_longest * 1.1
    assert crowded - NOW >= timedelta(seconds=1000) * 0.9
