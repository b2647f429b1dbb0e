"""Every route of the document counts its calls in one bucket, or is on a short list of routes that count none."""

import re
from typing import Final

import pytest
from fastapi import FastAPI

from service.config.settings import Settings
from service.domain.tenant import Limits
from tests.conftest import Connect
from tests.guards.test_routes import PUBLIC, SIGNED, operations
from tests.integration.api.fal.conftest import HEAD, submitted
from tests.integration.api.fal.conftest import PUBLIC as PUBLIC_URL
from tests.support import factories

_REQUEST: Final = "/fal/queue/{endpoint}/requests/{request_id}"
#: Routes that fal's clients poll.
READS: Final = {("GET", f"{_REQUEST}{tail}") for tail in ("", "/response", "/status", "/status/stream")}
#: Counted when the ticket is issued, which is good for one upload.
TICKETED: Final = {("PUT", "/fal/upload")}


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return factories.settings(redis_url, public_url=PUBLIC_URL)


def bucket(method: str, path: str) -> str | None:
    """Return the bucket of a route. None: operators, fal itself, and whatever is public."""
    operation = (method, path)
    if operation in PUBLIC | SIGNED | TICKETED or path.startswith("/admin/"):
        return None
    return "reads" if operation in READS else "calls"


async def test_route_counts_calls_in_its_bucket(app: FastAPI, connect: Connect) -> None:
    tenant = await app.state.runtime.tenants.service.create("acme", Limits(requests_per_minute=60_000))
    client = await connect(tenant)
    request_id = await submitted(client)
    await client.put(f"/fal/queue/{HEAD}/requests/{request_id}/cancel")  # or its stream does not end

    async def counted(method: str, path: str) -> str | None:
        filled = path.replace("{endpoint}", HEAD).replace("{request_id}", request_id)
        answer = await client.request(method, re.sub(r"\{\w+\}", "x", filled))
        policy = re.match(r'"(\w+)"', answer.headers.get("ratelimit-policy", ""))
        return None if policy is None else policy[1]

    found = {operation: await counted(*operation) for operation in operations(app)}

    assert found == {operation: bucket(*operation) for operation in found}
    assert found.keys() >= READS | TICKETED
