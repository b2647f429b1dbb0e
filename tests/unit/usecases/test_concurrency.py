"""Slots of tenants at one process."""

from service.usecases.generations.concurrency import ConcurrencyLimiter


def taken(limiter: ConcurrencyLimiter, tenant_id: str, wanted: int = 100) -> int:
    return sum(limiter.acquire(tenant_id) for _ in range(wanted))


def test_limiter_total_leaves_slots_for_next_tenant() -> None:
    limiter = ConcurrencyLimiter(20, total=64)
    assert [taken(limiter, str(n)) for n in range(7)] == [20, 20, 12, 6, 3, 2, 1]
    assert taken(limiter, "with few", 1) == 0, "64 slots are taken by seven tenants"


def test_limiter_released_slots_can_be_taken() -> None:
    limiter = ConcurrencyLimiter(2, total=3)
    assert (taken(limiter, "a"), taken(limiter, "b")) == (2, 1)
    limiter.release("a")
    assert taken(limiter, "c") == 1
