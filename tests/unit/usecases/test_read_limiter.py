"""Limits of reads: one for each request, one for each tenant, in the memory of a process."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from service.usecases.tenants import read_limiter
from service.usecases.tenants.read_limiter import ReadLimiter
from tests.support.factories import NOW, Clock

PYTHON_POLL = timedelta(milliseconds=100)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


Open = Callable[..., ReadLimiter]


@pytest.fixture
def limiter(clock: Clock) -> Open:
    def opened(*, per_request: int = 1_800, per_tenant: int = 30_000) -> ReadLimiter:
        return ReadLimiter(per_request=per_request, per_tenant=per_tenant, clock=clock)

    return opened


def test_reads_of_request_pass_burst_then_rate(limiter: Open, clock: Clock) -> None:
    reads = limiter(per_request=60)
    burst = [reads.check("t", "r") for _ in range(7)]
    assert [(result.allowed, result.left) for result in burst] == [(True, n) for n in range(5, -1, -1)] + [(False, 0)]
    refused = burst[-1]
    assert (refused.bucket, refused.per_minute, refused.retry_after) == ("reads", 60, timedelta(seconds=1))
    assert refused.whole_in == timedelta(seconds=6)
    clock.advance(timedelta(seconds=1))
    assert [reads.check("t", "r").allowed for _ in range(2)] == [True, False]
    assert reads.check("t", "other").allowed
    assert reads.check("u", "r").allowed


def test_reads_of_official_clients_are_never_refused(limiter: Open, clock: Clock) -> None:
    """Two Python clients poll the same request, forty more requests have one each."""
    reads, refused = limiter(), 0
    for _ in range(600):
        clock.advance(PYTHON_POLL)
        refused += sum(not reads.check("t", f"r{n % 41}").allowed for n in range(42))
    assert refused == 0


def test_reads_of_all_requests_are_limited_per_tenant(limiter: Open) -> None:
    reads = limiter(per_tenant=600)
    results = [reads.check("t", f"r{n}") for n in range(61)]
    assert [result.allowed for result in results] == [True] * 60 + [False]
    assert results[-1].per_minute == 600
    assert reads.check("u", "r0").allowed


def test_reads_limiter_memory_is_bounded(limiter: Open, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_limiter, "_MOST_BUCKETS", 100)
    reads = limiter()
    for n in range(1_000):
        clock.advance(timedelta(milliseconds=1))
        assert reads.check(f"t{n % 50}", f"r{n}").allowed
    assert len(reads._requests._due) <= 101
