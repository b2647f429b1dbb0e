"""The admin API: its authentication, what it shows once, and which secrets Redis stores."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.config.settings import Settings
from service.domain import ids
from service.domain.operator import Role
from service.domain.tenant import Scope, parse_key
from service.errors import Unavailable
from service.store.redis.client import Redis
from tests.conftest import client_of
from tests.support import factories
from tests.support.factories import create_body


async def created(operator: httpx.AsyncClient, name: str = "Shop") -> dict[str, Any]:
    answer = await operator.post("/admin/v1/tenants", json={"name": name})
    assert answer.status_code == 201, answer.text
    tenant: dict[str, Any] = answer.json()
    return tenant


async def test_new_tenant_key_is_accepted(app: FastAPI, operator: httpx.AsyncClient) -> None:
    tenant = await created(operator)
    key = await operator.post(f"/admin/v1/tenants/{tenant['id']}/keys", json={"name": "web"})

    assert key.status_code == 201
    async with client_of(app, key.json()["key"]) as api:
        assert (await api.post("/v1/generations", json=create_body())).status_code == 202


async def test_tenant_create(operator: httpx.AsyncClient) -> None:
    tenant = await created(operator, "  Shop  ")

    members = "id object name suspended suspension paused require_end_user limits month version created_at"
    assert list(tenant) == [*members.split(), "webhook_secret"]
    assert ids.is_id(ids.TENANT, tenant["id"])
    assert (tenant["name"], tenant["suspended"]) == ("Shop", False)
    assert tenant["webhook_secret"].startswith("whsec_")


async def test_tenant_webhook_secret_is_shown_once(operator: httpx.AsyncClient) -> None:
    tenants = [await created(operator, name) for name in ("one", "two")]

    listed = (await operator.get("/admin/v1/tenants")).json()

    assert {(item["id"], item["name"]) for item in listed["data"]} == {(t["id"], t["name"]) for t in tenants}
    assert {item["webhook_secret"] for item in listed["data"]} == {None}
    assert "whsec_" not in str(listed)


async def test_key_create(operator: httpx.AsyncClient) -> None:
    tenant = await created(operator)

    answer = await operator.post(f"/admin/v1/tenants/{tenant['id']}/keys", json={"name": "web", "scopes": ["read"]})

    key = answer.json()
    members = "id object tenant_id name scopes key created_at expires_at revoked_at last_used_at"
    assert list(key) == members.split()
    parts = parse_key(key["key"])
    assert parts is not None
    assert parts.id == key["id"]
    assert (key["tenant_id"], key["name"], key["scopes"]) == (tenant["id"], "web", ["read"])


async def test_key_default_scopes_are_all(operator: httpx.AsyncClient) -> None:
    tenant = await created(operator)

    key = (await operator.post(f"/admin/v1/tenants/{tenant['id']}/keys", json={})).json()

    assert set(key["scopes"]) == set(Scope)


async def test_key_scopes_are_enforced(app: FastAPI, operator: httpx.AsyncClient) -> None:
    tenant = await created(operator)
    key = (await operator.post(f"/admin/v1/tenants/{tenant['id']}/keys", json={"scopes": ["read"]})).json()

    async with client_of(app, key["key"]) as reader:
        assert (await reader.get("/v1/generations")).status_code == 200
        assert (await reader.post("/v1/generations", json=create_body())).status_code == 403


@pytest.mark.parametrize("tenant_id", ["x", "ten_0123456789abcdefghjkmnpqrs", "*", "gen_0123456789abcdefghjkmnpqrs"])
async def test_key_of_unknown_tenant_returns_404(operator: httpx.AsyncClient, redis: Redis, tenant_id: str) -> None:
    answer = await operator.post(f"/admin/v1/tenants/{tenant_id}/keys", json={})

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert await redis.execute("KEYS", "*api_key*") == []


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["root"]}, "/scopes/0"),
        ({"scopes": "read"}, "/scopes"),
        ({"name": "x" * 101}, "/name"),
        ({"key": "mine"}, "/key"),
    ],
    ids=str,
)
async def test_key_invalid_field_returns_422(operator: httpx.AsyncClient, body: dict[str, Any], pointer: str) -> None:
    tenant = await created(operator)

    answer = await operator.post(f"/admin/v1/tenants/{tenant['id']}/keys", json=body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


# --- who may call it --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "token",
    [
        None,
        "x",
        factories.ADMIN_TOKEN[:-1],
        factories.ADMIN_TOKEN + "x",
        factories.ADMIN_TOKEN.upper(),
        "x" * 10_000,
        factories.SECRET_KEY,
    ],
)
async def test_admin_wrong_token_returns_401(app: FastAPI, token: str | None) -> None:
    async with client_of(app, token) as client:
        answer = await client.get("/admin/v1/tenants")

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert factories.ADMIN_TOKEN not in answer.text


async def test_admin_non_ascii_token_returns_401(anonymous: httpx.AsyncClient) -> None:
    answer = await anonymous.get("/admin/v1/tenants", headers=[(b"authorization", b"Bearer \xe9\xff")])

    assert answer.status_code == 401


async def test_admin_token_is_no_tenant_key(operator: httpx.AsyncClient) -> None:
    assert (await operator.get("/v1/generations")).status_code == 401


class TestWithoutToken:
    """Without an admin token, only tokens of operators are accepted."""

    @pytest.fixture
    def settings(self, redis_url: str) -> Settings:
        return factories.settings(redis_url, admin_token=None)

    @pytest.mark.parametrize("token", [None, factories.ADMIN_TOKEN, "", "None"])
    async def test_admin_routes_without_admin_token_return_401(self, app: FastAPI, token: str | None) -> None:
        async with client_of(app, token) as client:
            assert (await client.get("/admin/v1/tenants")).status_code == 401

    async def test_admin_routes_accept_an_operators_token(self, app: FastAPI) -> None:
        operators = app.state.runtime.operators.service
        ada = await operators.create("Ada", Role.VIEWER)
        _, token = await operators.create_token(ada.id)
        async with client_of(app, token) as client:
            assert (await client.get("/admin/v1/tenants")).status_code == 200


# --- what lies in Redis -----------------------------------------------------------------------------------------------


async def everything_in(redis: Redis) -> bytes:
    """Return all names and values, of every type."""
    readers = {b"string": ("GET",), b"hash": ("HGETALL",), b"zset": ("ZRANGE", 0, -1), b"set": ("SMEMBERS",)}
    readers[b"stream"] = ("XRANGE", "-", "+")
    found: list[bytes] = []
    for key in await redis.execute("KEYS", "*"):
        kind = await redis.execute("TYPE", key)
        if kind == b"list":
            found.append(repr(await redis.execute("LRANGE", key, 0, -1)).encode())
            continue
        command, *rest = readers[kind]
        found += [key, repr(await redis.execute(command, key, *rest)).encode()]
    return b"\n".join(found)


async def test_secrets_are_not_in_plain_text_in_redis(
    app: FastAPI, operator: httpx.AsyncClient, redis: Redis, settings: Settings
) -> None:
    tenant = await created(operator)
    text = (await operator.post(f"/admin/v1/tenants/{tenant['id']}/keys", json={})).json()["key"]
    async with client_of(app, text) as api:
        await api.post("/v1/generations", json=create_body(end_user_id="customer-7", webhook_url=None))
    stored = await app.state.runtime.tenants.service.get(tenant["id"])
    parts = parse_key(text)
    assert parts is not None

    held = (await everything_in(redis)).decode()

    for secret in (
        tenant["webhook_secret"],
        tenant["webhook_secret"].removeprefix("whsec_"),
        stored.pseudonym_key,
        parts.secret,
        text,
        factories.ADMIN_TOKEN,
        factories.SECRET_KEY,
        factories.FAL_KEY,
    ):
        assert secret not in held
    assert tenant["id"] in held, "the dump is of the right Redis"
    assert stored.webhook_secret == tenant["webhook_secret"], "and it can be decrypted again"


async def test_secret_key_other_decrypts_nothing(operator: httpx.AsyncClient, redis_url: str) -> None:
    from service.runtime import open_runtime

    tenant = await created(operator)
    other_api = factories.settings(redis_url, secret_key=factories.OTHER_SECRET_KEY)
    rotated = factories.settings(redis_url, secret_key=f"{factories.OTHER_SECRET_KEY},{factories.SECRET_KEY}")

    async with open_runtime(other_api) as without:
        with pytest.raises(Unavailable, match="GATEWAY_SECRET_KEY"):
            await without.tenants.service.get(tenant["id"])
    async with open_runtime(rotated) as both:
        assert (await both.tenants.service.get(tenant["id"])).webhook_secret == tenant["webhook_secret"]
