"""API keys over HTTP: errors of bad keys, scopes, validity, and secrets that no response shows."""

import asyncio
import contextlib
import hashlib
import json
import re
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.domain import credential
from service.domain.tenant import Scope, Tenant, new_key_text
from service.errors import Unauthenticated
from service.runtime import Runtime
from service.store import keys
from service.store.redis.client import Redis
from tests.conftest import Connect, client_of
from tests.support.factories import Clock, create_body

#: The scope that each tenant route requires. A route that is missing here fails the test.
SCOPES = {
    ("POST", "/v1/generations"): Scope.GENERATE,
    ("POST", "/v1/generations/estimate"): Scope.GENERATE,
    ("POST", "/v1/generations/{generation_id}/cancel"): Scope.GENERATE,
    ("POST", "/v1/generations/{generation_id}/complete"): Scope.GENERATE,
    ("POST", "/v1/generations/{generation_id}/stream-tickets"): Scope.READ,
    ("POST", "/v1/uploads"): Scope.GENERATE,
    ("GET", "/v1/generations"): Scope.READ,
    ("GET", "/v1/generations/{generation_id}"): Scope.READ,
    ("GET", "/v1/generations/{generation_id}/video"): Scope.READ,
    ("GET", "/v1/generations/{generation_id}/events"): Scope.READ,
    ("GET", "/v1/end-users"): Scope.READ,
    ("GET", "/v1/end-users/{end_user_id}"): Scope.READ,
    ("GET", "/v1/end-users/{end_user_id}/erasure"): Scope.READ,
    ("GET", "/v1/usage"): Scope.READ,
    ("GET", "/v1/usage/end-users"): Scope.READ,
    ("POST", "/v1/usage-reports"): Scope.READ,
    ("GET", "/v1/usage-reports/{report_id}"): Scope.READ,
    ("GET", "/v1/usage-reports/{report_id}/end-users"): Scope.READ,
    ("POST", "/v1/end-users/{end_user_id}/block"): Scope.MANAGE,
    ("POST", "/v1/end-users/{end_user_id}/unblock"): Scope.MANAGE,
    ("DELETE", "/v1/end-users/{end_user_id}"): Scope.MANAGE,
    ("GET", "/v1/webhook-endpoints"): Scope.READ,
    ("GET", "/v1/webhook-endpoints/{endpoint_id}"): Scope.READ,
    ("GET", "/v1/deliveries"): Scope.READ,
    ("GET", "/v1/deliveries/{delivery_id}"): Scope.READ,
    ("POST", "/v1/webhook-endpoints"): Scope.MANAGE,
    ("PUT", "/v1/webhook-endpoints/{endpoint_id}"): Scope.MANAGE,
    ("PATCH", "/v1/webhook-endpoints/{endpoint_id}"): Scope.MANAGE,
    ("DELETE", "/v1/webhook-endpoints/{endpoint_id}"): Scope.MANAGE,
    ("GET", "/v1/webhook-endpoints/{endpoint_id}/secret"): Scope.MANAGE,
    ("POST", "/v1/webhook-endpoints/{endpoint_id}/rotate-secret"): Scope.MANAGE,
    ("POST", "/v1/webhook-endpoints/{endpoint_id}/test"): Scope.MANAGE,
    ("POST", "/v1/deliveries/{delivery_id}/redeliver"): Scope.MANAGE,
    ("POST", "/v1/deliveries/replay"): Scope.MANAGE,
    ("GET", "/v1/trail"): Scope.MANAGE,
    ("POST", "/openrouter/api/v1/videos"): Scope.GENERATE,
    ("GET", "/openrouter/api/v1/videos/{job_id}"): Scope.READ,
    ("GET", "/openrouter/api/v1/videos/{job_id}/content"): Scope.READ,
}
#: Routes that a key with any scope may call.
ANY_SCOPE = {
    ("GET", "/v1/me"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/{model_id}"),
    ("GET", "/openrouter/api/v1/videos/models"),
}


@pytest.fixture
def path(tenant: Tenant) -> str:
    return f"/admin/v1/tenants/{tenant.id}/keys"


async def made(operator: httpx.AsyncClient, path: str, **wanted: Any) -> dict[str, Any]:
    answer = await operator.post(path, json=wanted)
    assert answer.status_code == 201, answer.text
    key: dict[str, Any] = answer.json()
    return key


async def status(app: FastAPI, key: str) -> int:
    """Return the current response to this key, without the cache."""
    app.state.runtime.tenants.authenticator.forget()
    async with client_of(app, key) as client:
        return (await client.get("/v1/usage")).status_code


# --- good and bad ones ------------------------------------------------------------------------------------------------


async def test_key_mistyped_differs_from_unknown(app: FastAPI, operator: httpx.AsyncClient, path: str) -> None:
    key = await made(operator, path)
    text, forged = key["key"], new_key_text()[0].secret
    details = {}
    for what, wrong in {
        "typo": text[:-1] + ("0" if text[-1] != "0" else "1"),
        "unknown": new_key_text()[1],
        "another secret": f"sgk_{key['id']}_{forged}{credential._checksum(key['id'], forged)}",
    }.items():
        async with client_of(app, wrong) as client:
            answer = await client.get("/v1/usage")
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")
        details[what] = answer.json()["detail"]
    assert "mistyped" in details["typo"]
    assert "unknown" in details["unknown"]
    assert details["another secret"] == details["unknown"]


async def test_key_only_hash_is_stored(redis: Redis, operator: httpx.AsyncClient, path: str) -> None:
    text = (await made(operator, path))["key"]
    _, key_id, secret = text.split("_")
    stored = await redis.execute("GET", keys.api_key(key_id))
    assert json.loads(stored)["secret_hash"] == hashlib.sha256(secret[:40].encode()).hexdigest()
    assert secret[:20].encode() not in stored
    assert await redis.execute("KEYS", f"*{key_id}*") == [keys.api_key(key_id).encode()]


async def test_list_keys_shows_no_secrets(operator: httpx.AsyncClient, path: str) -> None:
    texts = [(await made(operator, path, name=name, scopes=["read"]))["key"] for name in ("ci", "web")]
    answer = await operator.get(path)
    assert sorted(key["name"] for key in answer.json()["data"]) == ["ci", "web"]
    assert {key["key"] for key in answer.json()["data"]} == {None}
    assert not any(text.split("_")[2] in answer.text for text in texts)
    assert "hash" not in answer.text


@pytest.mark.parametrize(
    ("wanted", "pointer"),
    [
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["admin"]}, "/scopes/0"),
        ({"name": "x" * 101}, "/name"),
        ({"expires_at": "2026-01-31T00:00:00"}, "/expires_at"),
        ({"expires_at": 1_893_456_000}, "/expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-12:00"}, "/expires_at"),
        ({"tenant": "x"}, "/tenant"),
    ],
)
async def test_key_invalid_field_returns_422(
    operator: httpx.AsyncClient, path: str, wanted: dict[str, Any], pointer: str
) -> None:
    answer = await operator.post(path, json=wanted)
    assert answer.status_code == 422, answer.text
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


# --- scopes -----------------------------------------------------------------------------------------------------------


async def test_route_requires_its_scope(app: FastAPI, tenant: Tenant, connect: Connect) -> None:
    missing = {scope: await connect(tenant, scopes=tuple(set(Scope) - {scope})) for scope in Scope}
    only = {scope: await connect(tenant, scopes=(scope,)) for scope in Scope}
    routes = {
        (method.upper(), path)
        for path, item in app.openapi()["paths"].items()
        for method in item
        if path.startswith(("/v1/", "/openrouter/"))
    }
    assert routes == set(SCOPES) | ANY_SCOPE
    for (method, path), scope in SCOPES.items():
        filled = re.sub(r"{\w+}", "x", path)
        refused = await missing[scope].request(method, filled, json=create_body())
        assert (refused.status_code, _code_of(refused)) == (403, "forbidden"), path
        assert f"'{scope.value}'" in refused.text
        assert (await only[scope].request(method, filled, json=create_body())).status_code != 403, path


def _code_of(refused: httpx.Response) -> str:
    """Return the code of a problem document, or of an error in OpenRouter's form."""
    body = refused.json()
    return str(body["code"] if "code" in body else body["error"]["metadata"]["error_type"])


# --- time -------------------------------------------------------------------------------------------------------------


async def test_key_works_until_expiry(app: FastAPI, clock: Clock, operator: httpx.AsyncClient, path: str) -> None:
    in_an_hour = clock() + timedelta(hours=1)
    text = (await made(operator, path, expires_at=in_an_hour.isoformat()))["key"]
    clock.now = in_an_hour - timedelta(seconds=1)
    assert await status(app, text) == 200
    clock.now = in_an_hour
    assert await status(app, text) == 401


async def test_key_expiry_is_shown_in_utc(operator: httpx.AsyncClient, path: str) -> None:
    new = await made(operator, path, expires_at="2030-01-31T12:00:00+02:00")
    (listed,) = (await operator.get(path)).json()["data"]
    assert new["expires_at"] == listed["expires_at"] == "2030-01-31T10:00:00.000Z"


async def test_key_last_use_is_recorded_once_a_minute(
    app: FastAPI, clock: Clock, redis: Redis, operator: httpx.AsyncClient, path: str
) -> None:
    clock.now = clock().replace(second=10)
    key = await made(operator, path)

    async def last_used() -> str | None:
        (listed,) = (await operator.get(path)).json()["data"]
        used: str | None = listed["last_used_at"]
        return used

    assert await last_used() is None
    assert await status(app, key["key"]) == 200
    first = await last_used()
    assert first is not None
    assert datetime.fromisoformat(first) == clock().replace(second=0)
    await redis.execute("SET", keys.api_key_used(key["id"]), "untouched")
    clock.advance(timedelta(seconds=49))
    assert await status(app, key["key"]) == 200
    assert await last_used() == "untouched", "written twice in a minute"
    clock.advance(timedelta(seconds=1))
    assert await status(app, key["key"]) == 200
    assert await last_used() not in (first, "untouched")


# --- rotation and revocation ------------------------------------------------------------------------------------------


async def test_key_rotation_both_work_during_overlap(
    app: FastAPI, clock: Clock, operator: httpx.AsyncClient, path: str
) -> None:
    old = await made(operator, path, name="web", scopes=["read"])
    new = await made(operator, f"{path}/{old['id']}/rotate", overlap_seconds=3600)
    assert (new["name"], new["scopes"]) == ("web", ["read"])
    assert new["key"] != old["key"]
    clock.advance(timedelta(seconds=3599))
    assert [await status(app, key["key"]) for key in (old, new)] == [200, 200]
    clock.advance(timedelta(seconds=1))
    assert [await status(app, key["key"]) for key in (old, new)] == [401, 200]


async def test_key_rotation_overlap_defaults_to_one_day(clock: Clock, operator: httpx.AsyncClient, path: str) -> None:
    soon = (clock() + timedelta(hours=2)).isoformat()
    plain, ending = await made(operator, path), await made(operator, path, expires_at=soon)
    for key in (plain, ending):
        await made(operator, f"{path}/{key['id']}/rotate")
    ends = {key["id"]: key["expires_at"] for key in (await operator.get(path)).json()["data"]}
    assert datetime.fromisoformat(ends[plain["id"]]) == clock() + timedelta(days=1)
    assert datetime.fromisoformat(ends[ending["id"]]) == clock() + timedelta(hours=2)


async def test_key_rotation_repeated_keeps_overlap(
    app: FastAPI, clock: Clock, operator: httpx.AsyncClient, path: str
) -> None:
    old = await made(operator, path)
    await made(operator, f"{path}/{old['id']}/rotate", overlap_seconds=3600)
    refused = await operator.post(f"{path}/{old['id']}/rotate", json={"overlap_seconds": 60})
    assert (refused.status_code, refused.json()["code"]) == (409, "overlap_promised")
    assert len((await operator.get(path)).json()["data"]) == 2
    await made(operator, f"{path}/{old['id']}/rotate", overlap_seconds=7200)
    clock.advance(timedelta(seconds=3599))
    assert await status(app, old["key"]) == 200
    clock.advance(timedelta(seconds=1))
    assert await status(app, old["key"]) == 401


async def test_key_rotation_keeps_expiry(app: FastAPI, clock: Clock, operator: httpx.AsyncClient, path: str) -> None:
    """Of the key as it was created: each successor, and a second successor of a key that was rotated before."""
    expiry = clock() + timedelta(days=2)
    first = await made(operator, path, expires_at=expiry.isoformat())
    second = await made(operator, f"{path}/{first['id']}/rotate", overlap_seconds=60)
    successors = [
        second,
        await made(operator, f"{path}/{first['id']}/rotate", overlap_seconds=60),
        await made(operator, f"{path}/{second['id']}/rotate", overlap_seconds=7 * 24 * 3600),
    ]
    assert {datetime.fromisoformat(key["expires_at"]) for key in successors} == {expiry}
    clock.advance(timedelta(days=2))
    assert {await status(app, key["key"]) for key in (first, *successors)} == {401}


@pytest.mark.parametrize("how", ["expired", "overlap is over", "revoked"])
async def test_key_rotation_of_invalid_key_returns_409(
    app: FastAPI, clock: Clock, operator: httpx.AsyncClient, path: str, how: str
) -> None:
    key = await made(operator, path, expires_at=(clock() + timedelta(hours=1)).isoformat())
    if how == "overlap is over":
        await made(operator, f"{path}/{key['id']}/rotate", overlap_seconds=60)
    if how == "revoked":
        await operator.post(f"{path}/{key['id']}/revoke")
    clock.advance(timedelta(hours=1))
    before = len((await operator.get(path)).json()["data"])
    refused = await operator.post(f"{path}/{key['id']}/rotate", json={"overlap_seconds": 3600})
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert len((await operator.get(path)).json()["data"]) == before
    assert await status(app, key["key"]) == 401


@pytest.mark.parametrize("overlap", [-1, 30 * 24 * 3600 + 1, "1", 1.5, None])
async def test_key_rotation_overlap_out_of_range_returns_422(
    operator: httpx.AsyncClient, path: str, overlap: object
) -> None:
    key = await made(operator, path)
    answer = await operator.post(f"{path}/{key['id']}/rotate", json={"overlap_seconds": overlap})
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/overlap_seconds"]
    assert len((await operator.get(path)).json()["data"]) == 1


async def test_key_revoked_twice_keeps_first_time(
    app: FastAPI, clock: Clock, operator: httpx.AsyncClient, path: str
) -> None:
    key = await made(operator, path)
    first = await operator.post(f"{path}/{key['id']}/revoke")
    clock.advance(timedelta(minutes=5))
    again = await operator.post(f"{path}/{key['id']}/revoke")
    assert first.status_code == again.status_code == 200
    assert first.json()["revoked_at"] == again.json()["revoked_at"] is not None
    assert await status(app, key["key"]) == 401


async def test_key_revocation_reaches_cached_key_within_a_second(
    app: FastAPI, runtime: Runtime, operator: httpx.AsyncClient, path: str
) -> None:
    key = await made(operator, path)
    loop = asyncio.get_running_loop()
    await runtime.tenants.authenticator.authenticate(key["key"], Scope.READ)
    revoked = loop.time()
    await operator.post(f"{path}/{key['id']}/revoke")
    await runtime.tenants.authenticator.authenticate(
        key["key"], Scope.READ
    )  # the key is cached there: otherwise the test proves nothing
    with contextlib.suppress(Unauthenticated):
        while True:
            asked = loop.time()
            await runtime.tenants.authenticator.authenticate(key["key"], Scope.READ)
            assert asked < revoked + 1
            await asyncio.sleep(0.02)


# --- whose key it is --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["rotate", "revoke"])
async def test_key_of_other_tenant_returns_404(app: FastAPI, operator: httpx.AsyncClient, path: str, verb: str) -> None:
    other = await app.state.runtime.tenants.service.create("other")
    other_key = await made(operator, f"/admin/v1/tenants/{other.id}/keys")
    answer = await operator.post(f"{path}/{other_key['id']}/{verb}", json={})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert await status(app, other_key["key"]) == 200


async def test_key_malformed_id_returns_404(app: FastAPI, operator: httpx.AsyncClient, path: str) -> None:
    """The record of a key's last use is stored under a name with the id of the key and a suffix."""
    key = await made(operator, path)
    assert await status(app, key["key"]) == 200
    for name in (f"{key['id']}:used", "x", "%00", "*", key["id"].upper()):
        assert (await operator.post(f"{path}/{name}/revoke")).status_code == 404, name
