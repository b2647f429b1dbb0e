"""The fal surface of the gateway as an ASGI app, called as fal's clients call it."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.config.settings import Settings
from service.domain.tenant import Limits, Tenant
from tests.conftest import Connect
from tests.support import factories
from tests.support.factories import create_body

MODEL = "bytedance/seedance-2.0/image-to-video"
HEAD = "bytedance/seedance-2.0"
PUBLIC = "https://gateway.example/base"
QUEUE = "/fal/queue"
UNKNOWN = "gen_00000000000000000000000000"

ConnectFal = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return factories.settings(redis_url, public_url=PUBLIC)


@pytest.fixture
def connect_fal(app: FastAPI, connect: Connect) -> ConnectFal:
    """``await connect_fal(monthly_budget=1)``: a client of a fresh tenant with these limits."""

    async def client(
        tenant: Tenant | None = None, *, require_end_user: bool = False, **limits: Any
    ) -> httpx.AsyncClient:
        tenants = app.state.runtime.tenants.service
        tenant = tenant or await tenants.create("acme", Limits(**limits), require_end_user=require_end_user)
        return as_fal(await connect(tenant))

    return client


@pytest.fixture
async def fal(api: httpx.AsyncClient, connect_fal: ConnectFal, tenant: Tenant) -> httpx.AsyncClient:
    """Return a fal client of the same tenant as ``api``, with another key."""
    return await connect_fal(tenant)


def as_fal(client: httpx.AsyncClient) -> httpx.AsyncClient:
    client.headers["authorization"] = client.headers["authorization"].replace("Bearer", "Key")
    return client


async def submit(client: httpx.AsyncClient, *, query: str = "", headers: Any = None, **changes: Any) -> httpx.Response:
    return await client.post(f"{QUEUE}/{MODEL}{query}", json=create_body(**changes), headers=headers)


async def submitted(client: httpx.AsyncClient, **options: Any) -> str:
    answer = await submit(client, **options)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["request_id"])


def request_path(request_id: str, endpoint: str = HEAD) -> str:
    return f"{QUEUE}/{endpoint}/requests/{request_id}"
