"""Retry schedules and poll intervals, with the random number passed in."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.retry import PollPolicy, RetryPolicy, spread

WEBHOOKS = tuple(timedelta(seconds=s) for s in (0, 5, 300, 1800, 7200, 18000, 36000, 36000))
POLLS = PollPolicy(shortest=timedelta(seconds=1), longest=timedelta(seconds=15), share=0.1, per_second=400, jitter=0.1)


def middle() -> float:
    return 0.5


@pytest.mark.parametrize(("attempts", "wait"), list(enumerate(WEBHOOKS)))
def test_retry_follows_the_schedule(attempts: int, wait: timedelta) -> None:
    assert RetryPolicy(WEBHOOKS).next(attempts, middle) == wait


@pytest.mark.parametrize("attempts", [8, 9, 1000])
def test_retry_gives_up_after_the_last_wait(attempts: int) -> None:
    assert RetryPolicy(WEBHOOKS).next(attempts, middle) is None


@pytest.mark.parametrize("attempts", [8, 9, 1000])
def test_retry_forever_repeats_the_last_wait(attempts: int) -> None:
    assert RetryPolicy(WEBHOOKS, forever=True).next(attempts, middle) == WEBHOOKS[-1]
    assert RetryPolicy(WEBHOOKS[:2], forever=True).next(attempts, middle) == WEBHOOKS[1]


def test_webhook_schedule_spans_about_28_hours() -> None:
    assert timedelta(hours=27) < sum(WEBHOOKS, timedelta()) < timedelta(hours=28)


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 80), (0.25, 90), (0.5, 100), (0.75, 110), (0.999999, 120)])
def test_jitter_spreads_both_ways(chance: float, seconds: int) -> None:
    wait = spread(timedelta(seconds=100), 0.2, lambda: chance)

    assert wait.total_seconds() == pytest.approx(seconds, abs=0.01)


@given(st.integers(0, 7), st.floats(0, 1, exclude_max=True))
def test_jitter_bounds_the_wait(attempts: int, chance: float) -> None:
    wait = RetryPolicy(WEBHOOKS, jitter=0.2).next(attempts, lambda: chance)

    assert wait is not None
    assert WEBHOOKS[attempts] * 0.8 <= wait <= WEBHOOKS[attempts] * 1.2


@pytest.mark.parametrize(
    ("elapsed", "in_flight", "seconds"),
    [
        (0, 1, 1.0),  # young: the shortest
        (9, 1, 1.0),
        (20, 1, 2.0),  # a tenth of its age
        (100, 1, 10.0),
        (150, 1, 15.0),
        (7200, 1, 15.0),  # old: the longest
        (0, 400, 1.0),  # the whole budget of the account
        (0, 4000, 10.0),  # the budget is shared
        (7200, 10_000, 25.0),
    ],
)
def test_poll_wait_grows_with_age_and_jobs_in_flight(elapsed: int, in_flight: int, seconds: float) -> None:
    assert POLLS.next(timedelta(seconds=elapsed), in_flight, middle).total_seconds() == pytest.approx(seconds)


@given(st.integers(1, 100_000), st.floats(0, 10_000))
def test_poll_budget_is_never_exceeded(in_flight: int, elapsed: float) -> None:
    wait = POLLS.next(timedelta(seconds=elapsed), in_flight, middle)

    assert in_flight / wait.total_seconds() <= POLLS.per_second * 1.001


@pytest.mark.parametrize(("failures", "seconds"), [(1, 2), (2, 4), (3, 8), (4, 15), (5, 15), (10_000, 15)])
def test_poll_wait_doubles_with_each_failure_up_to_the_longest(failures: int, seconds: int) -> None:
    assert POLLS.next(timedelta(hours=2), 1, middle, failures=failures) == timedelta(seconds=seconds)


@pytest.mark.parametrize(("failures", "wait"), [(15, 2**15), (16, 2**16), (17, 2**16), (10_000, 2**16)])
def test_poll_wait_doubles_sixteen_times_at_most(failures: int, wait: int) -> None:
    polls = replace(POLLS, longest=timedelta(days=365))

    assert polls.next(timedelta(), 1, middle, failures=failures) == timedelta(seconds=wait)


@given(st.integers(1, 100_000), st.floats(0, 10_000), st.integers(0, 20))
def test_poll_budget_holds_after_failures(in_flight: int, elapsed: float, failures: int) -> None:
    wait = POLLS.next(timedelta(seconds=elapsed), in_flight, middle, failures=failures)

    assert in_flight / wait.total_seconds() <= POLLS.per_second * 1.001


@given(st.integers(0, 100), st.floats(0, 1, exclude_max=True))
def test_poll_wait_is_never_negative(failures: int, chance: float) -> None:
    assert POLLS.next(timedelta(seconds=-5), 0, lambda: chance, failures=failures) > timedelta()
