"""Series of tenants: bounded in number, and removed after the deletion of their tenant."""

from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY

from service.domain.tenant import Tenant
from service.observability import metrics
from service.runtime import Runtime
from service.usecases.operations import metric_series
from service.usecases.operations.series_expiry import SeriesExpiry

#: More than a page of a check.
COUNT = 501
#: Of a tenant whose requests a gateway counts, and whose work a worker counts.
SERIES = 18


def series() -> set[tuple[str, str]]:
    """Return names and labels of all series of tenants in this process."""
    samples = [sample for family in REGISTRY.collect() for sample in family.samples if "tenant" in sample.labels]
    return {(sample.name, str(sample.labels)) for sample in samples}


def requests_of(tenant: Tenant) -> float | None:
    labels = {"tenant": tenant.id, "kind": "read", "outcome": "ok"}
    return REGISTRY.get_sample_value("gateway_tenant_requests_total", labels)


def count_request(tenant: Tenant) -> None:
    metrics.tenant_series(metrics.TENANT_REQUESTS, tenant.id, "read", "ok").inc()


@pytest.fixture
def expiry(runtime: Runtime) -> SeriesExpiry:
    return SeriesExpiry(runtime.stores.tenants)


@pytest.fixture(autouse=True)
def only_own_tenants(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hide the tenants of other tests, and remove the series of this one."""
    monkeypatch.setattr(metrics, "_tenants", {})
    monkeypatch.setattr(metric_series, "_begun", set())
    yield
    for tenant_id in metrics.tenants():
        metrics.forget_tenant(tenant_id)


async def test_series_of_deleted_tenants_are_removed(runtime: Runtime, expiry: SeriesExpiry) -> None:
    kept = await runtime.tenants.service.create("kept")
    count_request(kept)
    before = series()

    for _ in range(2):
        made = [await runtime.tenants.service.create("short-lived") for _ in range(COUNT)]
        for tenant in made:
            metric_series.begin_tenants([tenant.id])
            metric_series.begin_work_of(tenant.id)
            count_request(tenant)
            await runtime.tenants.service.delete(tenant.id, drain=False)
        assert len(series() - before) == COUNT * SERIES
        for _ in range(2):
            await expiry.check()

        assert series() == before
    assert metrics.tenants() == [kept.id]
    assert requests_of(kept) == 1


async def test_series_are_scraped_once_more_after_deletion(runtime: Runtime, expiry: SeriesExpiry) -> None:
    tenant = await runtime.tenants.service.create("acme")
    count_request(tenant)
    await expiry.check()
    await runtime.tenants.service.delete(tenant.id, drain=False)

    await expiry.check()
    assert requests_of(tenant) == 1, "for one interval"
    await expiry.check()
    assert requests_of(tenant) is None

    count_request(tenant)  # a late event
    await expiry.check()
    assert requests_of(tenant) == 1, "for one interval, counted from zero"
    await expiry.check()
    assert requests_of(tenant) is None


async def test_deleted_tenant_makes_room_for_another(
    runtime: Runtime, expiry: SeriesExpiry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_MOST_TENANTS", 2)
    first, second, third = [await runtime.tenants.service.create("acme") for _ in range(3)]
    for tenant in (first, second, third):
        count_request(tenant)
    assert [requests_of(tenant) for tenant in (first, second, third)] == [1, 1, None], "the third is counted as other"

    await runtime.tenants.service.delete(first.id, drain=False)
    for _ in range(2):
        await expiry.check()
    count_request(third)

    assert [requests_of(tenant) for tenant in (first, second, third)] == [None, 1, 1]
