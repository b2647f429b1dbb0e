"""``deliveries`` and ``endpoints``: dead letters and receivers of all tenants on the command line."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from service.config.settings import Settings
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime, open_runtime
from service.usecases.webhooks.endpoints import EndpointSpec
from tests.integration.cli.test_ops import Run, answer, errors, lines, run, tenant_id  # noqa: F401  (fixtures)
from tests.support import factories
from tests.support.receiver import Receiver

WHY = ("--reason", "the receiver works again")


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return factories.settings(redis_url, webhook_schedule=(timedelta(0),))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        running.otherwise = 500
        yield running


def within(settings: Settings, use: Callable[[Runtime], Awaitable[Any]]) -> Any:
    async def opened() -> Any:
        async with open_runtime(settings) as runtime:
            return await use(runtime)

    return asyncio.run(opened())


async def _attempted(runtime: Runtime) -> None:
    await runtime.queues.run(WorkQueue.DELIVER)
    await runtime.queues.consumers[WorkQueue.DELIVER].idle()


def test_operator_finds_and_replays_dead_letter(
    run: Run,  # noqa: F811
    tenant_id: str,  # noqa: F811
    settings: Settings,
    receiver: Receiver,
) -> None:
    async def create(runtime: Runtime) -> str:
        tenant = await runtime.tenants.service.get(tenant_id)
        spec = EndpointSpec(receiver.url, (), "", None, ed25519=False, enabled=True)
        return (await runtime.webhooks.endpoints.create(tenant, spec)).id

    endpoint_id = within(settings, create)
    sent = answer(run("endpoints", "test", tenant_id, endpoint_id, *WHY))
    within(settings, _attempted)

    (dead,) = lines(run("deliveries", "list", "--json"))
    assert (dead["id"], dead["tenant_id"], dead["status"]) == (sent["id"], tenant_id, "dead")
    assert [each["status"] for each in answer(run("deliveries", "show", dead["id"]))["attempts"]] == [500]
    (failing,) = lines(run("endpoints", "failing", "--minutes", "0"))
    assert (failing["endpoint_id"], failing["attempts"]) == (endpoint_id, 1)
    (listed,) = lines(run("endpoints", "list", tenant_id))
    assert listed["failing"]["attempts"] == 1

    assert answer(run("endpoints", "disable", tenant_id, endpoint_id, *WHY))["enabled"] is False
    assert "disabled" in errors(run("deliveries", "replay", dead["id"], *WHY, exits=1))
    assert answer(run("endpoints", "enable", tenant_id, endpoint_id, *WHY))["enabled"] is True
    run("deliveries", "replay", dead["id"], "--reason", " ", exits=2)
    receiver.otherwise = 204
    assert answer(run("deliveries", "replay", dead["id"], *WHY))["status"] == "pending"
    within(settings, _attempted)
    assert lines(run("deliveries", "list")) == []
    (delivered,) = lines(run("deliveries", "list", "--tenant", tenant_id, "--status", "delivered"))
    assert delivered["id"] == dead["id"]


def test_list_of_pending_deliveries_needs_tenant(run: Run) -> None:  # noqa: F811
    assert "status is dead" in errors(run("deliveries", "list", "--status", "pending", exits=2))
