"""Bytes in progress: bounded for each tenant and for the process, and released however a request ends."""

import pytest

from service.errors import TooManyBytes, Unavailable
from service.usecases.generations.byte_limits import ByteLimiter


def test_lease_beyond_tenant_is_too_many_bytes() -> None:
    limiter = ByteLimiter("memory", total=100, tenant=60)
    limiter.lease("a", 40)

    with pytest.raises(TooManyBytes, match="60 bytes"):
        limiter.lease("a", 21)
    assert limiter.lease("b", 60).size == 60


def test_lease_beyond_process_is_unavailable() -> None:
    limiter = ByteLimiter("memory", total=100, tenant=60)
    limiter.lease("a", 60)

    with pytest.raises(Unavailable, match="100 bytes"):
        limiter.lease("b", 41)
    assert limiter.leased == 60


def test_lease_grows_and_shrinks() -> None:
    limiter = ByteLimiter("memory", total=100, tenant=60)
    lease = limiter.lease("a", 10)

    lease.cover(5)
    assert limiter.leased == 10
    lease.cover(60)
    with pytest.raises(TooManyBytes):
        lease.cover(61)
    assert limiter.leased == 60
    lease.resize(20)
    assert limiter.leased == 20


def test_lease_is_released_with_its_context() -> None:
    limiter = ByteLimiter("memory", total=100, tenant=60)

    with pytest.raises(KeyError), limiter.lease("a", 60):
        raise KeyError
    with limiter.lease("a", 60) as lease:
        lease.release()

    assert limiter.leased == 0
    assert not limiter._leased, "a tenant without bytes takes no memory"
