"""A burst of events of a new tenant is seen by ``increase`` in a real Prometheus."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from service.cli.dev.child_processes import free_port
from service.config.settings import Settings
from service.domain.tenant import Limits, Tenant
from tests.support import factories
from tests.support.prometheus import Prometheus
from tests.support.waiting import until

REFUSALS = 254


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return factories.settings(redis_url, metrics_port=free_port())


@pytest.fixture
async def tenant(app: FastAPI) -> Tenant:
    made: Tenant = await app.state.runtime.tenants.service.create("looper", Limits(monthly_budget=1))
    return made


@pytest.fixture
async def prometheus(app: FastAPI, settings: Settings, tmp_path: Path) -> AsyncIterator[Prometheus]:
    running = Prometheus(tmp_path, "groups: []\n", {"gateway": settings.metrics_port})
    await asyncio.to_thread(running.__enter__)  # the gateway that Prometheus reads runs on the loop of the test
    yield running
    await asyncio.to_thread(running.__exit__)


async def test_burst_of_a_new_tenant_is_seen(api: httpx.AsyncClient, tenant: Tenant, prometheus: Prometheus) -> None:
    async def value(query: str) -> float:
        return sum(float(sample["value"][1]) for sample in await asyncio.to_thread(prometheus.query, query))

    counter = f'gateway_generations_refused_total{{tenant="{tenant.id}"}}'
    requests = f'gateway_tenant_requests_total{{tenant="{tenant.id}",kind="write",outcome="refused"}}'

    async def has_series() -> bool:
        return await value(f"count({counter})") > 0 and await value(f"count({requests})") > 0

    await until(has_series, within=60, every=0.25)
    for number in range(REFUSALS):
        answer = await api.post("/v1/generations", json=factories.create_body(prompt=f"loop {number}"))
        assert answer.status_code == 402, answer.text

    named = f'sum({counter}) * on () group_left (name) gateway_tenant_info{{name="looper"}}'

    async def is_counted() -> bool:
        return await value(named) == REFUSALS

    await until(is_counted, within=60, every=0.25)
    for each in (counter, requests):
        assert await value(f"increase({each}[5m])") >= REFUSALS - 4
