"""``end-users``: list, show, block and erase the end users of a tenant on the command line."""

import asyncio
from typing import Any

import pytest

from service.config.settings import Settings
from service.domain.end_user import pseudonym
from service.runtime import Runtime, open_runtime
from tests.integration.cli.test_ops import Run, answer, errors, lines, run, tenant_id  # noqa: F401  (fixtures)
from tests.support import factories

WHY = ("--reason", "request of the person")


@pytest.fixture
def created(settings: Settings, tenant_id: str) -> None:  # noqa: F811
    """Create a generation of two end users."""

    async def create(runtime: Runtime) -> None:
        tenant = await runtime.tenants.service.get(tenant_id)
        for name in ("customer-7", "visitor"):
            g = factories.generation(tenant_id=tenant.id, end_user_id=name, end_user=pseudonym(tenant, name))
            await runtime.stores.generations.create(g, factories.due())

    async def opened() -> None:
        async with open_runtime(settings) as runtime:
            await create(runtime)

    asyncio.run(opened())


@pytest.mark.usefixtures("created")
def test_end_user_list_block_and_erase(run: Run, tenant_id: str) -> None:  # noqa: F811
    assert [each["id"] for each in lines(run("end-users", "list", tenant_id))] == ["customer-7", "visitor"]
    (found,) = lines(run("end-users", "list", tenant_id, "--prefix", "customer-", "--json"))
    assert (found["id"], found["generations"]) == ("customer-7", 1)
    assert answer(run("end-users", "show", tenant_id, "customer-7"))["pseudonym"] == found["pseudonym"]

    assert answer(run("end-users", "block", tenant_id, "visitor", *WHY))["block_reason"] == WHY[1]
    (blocked,) = lines(run("end-users", "list", tenant_id, "--blocked"))
    assert blocked["id"] == "visitor"
    assert answer(run("end-users", "unblock", tenant_id, "visitor", *WHY))["blocked_at"] is None

    assert "give --yes" in errors(run("end-users", "erase", tenant_id, "customer-7", *WHY, exits=2))
    receipt: Any = answer(run("end-users", "erase", tenant_id, "customer-7", *WHY, "--yes"))
    assert (receipt["state"], receipt["generations"]) == ("done", 1)
    assert "fal_files" in [each["what"] for each in receipt["remains"]]
    assert answer(run("end-users", "erasure", tenant_id, "customer-7")) == receipt
    assert errors(run("end-users", "show", tenant_id, "customer-7", exits=1)) == "There is no such end user."
