"""Uploads of images as the Python client does them: a token of the CDN, then the bytes with this token."""

from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from service.config.settings import Settings
from service.domain.tenant import Scope, Tenant
from service.runtime import Runtime
from service.usecases.tenants.access_tickets import LIFETIMES, TicketUse
from service.usecases.tenants.caller import CredentialRef
from tests.conftest import Connect, client_of
from tests.integration.api.fal.conftest import PUBLIC, ConnectFal, as_fal, submit
from tests.support import factories, pictures
from tests.support.factories import Clock
from tests.support.void_keys import make_void

SAMPLES = Path(__file__).parents[4] / "deploy/sandbox/samples"
PHOTO = (SAMPLES / "rocket.jpg").read_bytes()
TOKEN = "/fal/rest/storage/auth/token?storage_type=fal-cdn-v3"
UPLOAD = "/fal/rest/files/upload"


@pytest.fixture
def settings(redis_url: str, sandbox_url: str) -> Settings:
    return factories.sandbox_settings(redis_url, sandbox_url, public_url=PUBLIC, max_upload_bytes=len(PHOTO))


async def issued(client: httpx.AsyncClient) -> dict[str, str]:
    answer = await client.post(TOKEN, json={})
    assert answer.status_code == 200, answer.text
    found: dict[str, str] = answer.json()
    return found


async def upload(client: httpx.AsyncClient, token: str, content: bytes = PHOTO, path: str = UPLOAD) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}", "content-type": "image/jpeg", "x-fal-file-name": "a.jpg"}
    return await client.post(path, content=content, headers=headers)


async def test_cdn_token_has_fal_form(fal: httpx.AsyncClient, clock: Clock) -> None:
    found = await issued(fal)
    assert (found["token_type"], found["base_url"]) == ("Bearer", f"{PUBLIC}/fal/rest")
    assert datetime.fromisoformat(found["expires_at"]) == clock() + LIFETIMES[TicketUse.UPLOAD]
    assert not found["expires_at"].endswith("Z"), "Python 3.10 does not parse it"


async def test_cdn_upload_bytes_are_at_access_url(fal: httpx.AsyncClient, anonymous: httpx.AsyncClient) -> None:
    token = (await issued(fal))["token"]
    for _ in range(2):  # the client caches a token
        answer = await upload(anonymous, token)
        assert answer.status_code == 200, answer.text
    async with httpx.AsyncClient(trust_env=False) as client:
        stored = (await client.get(answer.json()["access_url"])).content
    assert pictures.opened(stored).tobytes() == pictures.opened(PHOTO).tobytes()


@pytest.mark.parametrize(
    ("content", "status"), [(b"", 400), (b"GIF89a" + b"x" * 100, 422), (b"x" * (len(PHOTO) + 1), 413)]
)
async def test_cdn_upload_of_no_image_is_refused(
    fal: httpx.AsyncClient, anonymous: httpx.AsyncClient, content: bytes, status: int
) -> None:
    answer = await upload(anonymous, (await issued(fal))["token"], content)
    assert (answer.status_code, bool(answer.json()["detail"])) == (status, True)


async def test_cdn_multipart_is_refused(fal: httpx.AsyncClient, anonymous: httpx.AsyncClient) -> None:
    answer = await upload(anonymous, (await issued(fal))["token"], b"", f"{UPLOAD}/multipart")
    assert (answer.status_code, "in one request" in answer.json()["detail"]) == (413, True)


async def test_cdn_token_opens_nothing_else(fal: httpx.AsyncClient, anonymous: httpx.AsyncClient) -> None:
    token = (await issued(fal))["token"]
    for scheme in ("Key", "Bearer"):
        headers = {"authorization": f"{scheme} {token}"}
        assert (await submit(anonymous, headers=headers)).status_code == 401
        assert (await anonymous.get("/v1/generations", headers=headers)).status_code == 401
        assert (await anonymous.post(TOKEN, json={}, headers=headers)).status_code == 401
        assert (await anonymous.post("/v1/uploads", content=PHOTO, headers=headers)).status_code == 401


async def test_cdn_forged_token_is_refused(
    fal: httpx.AsyncClient, anonymous: httpx.AsyncClient, runtime: Runtime
) -> None:
    token = (await issued(fal))["token"]
    other_use, _ = runtime.tenants.access_tickets.issue(TicketUse.STREAM, CredentialRef("x" * 12), "gen_x")
    tampered = token[:30] + ("A" if token[30] != "A" else "B") + token[31:]
    for forged in (tampered, token[:-1], token + "x", token[4:], "sgt_", "sgt_" + "A" * 5000, other_use, "sgt_é"):
        headers = {b"authorization": f"Bearer {forged}".encode("latin-1")}
        answer = await anonymous.post(UPLOAD, content=PHOTO, headers=headers)
        assert (answer.status_code, answer.json()["error_type"]) == (401, "unauthenticated"), forged[:60]


@pytest.mark.parametrize(
    ("how", "status"), [("old", 401), ("revoked", 401), ("expired", 401), ("suspended", 403), ("deleted", 401)]
)
async def test_cdn_token_is_void_with_its_key(
    runtime: Runtime, app: FastAPI, tenant: Tenant, clock: Clock, anonymous: httpx.AsyncClient, how: str, status: int
) -> None:
    tenants = runtime.tenants
    key = await tenants.api_keys.create(tenant.id, expires_at=clock() + timedelta(minutes=20 if how == "old" else 1))
    async with as_fal(client_of(app, key.text)) as client:
        token = (await issued(client))["token"]
    if how == "old":
        clock.advance(LIFETIMES[TicketUse.UPLOAD])
    else:
        await make_void(runtime, clock, tenant, key, how)
    assert (await upload(anonymous, token)).status_code == status


async def test_cdn_upload_requires_scope_and_counts(
    connect: Connect, connect_fal: ConnectFal, tenant: Tenant, anonymous: httpx.AsyncClient
) -> None:
    reader = as_fal(await connect(tenant, scopes=(Scope.READ,)))
    assert (await reader.post(TOKEN, json={})).status_code == 403
    token = (await issued(await connect_fal(requests_per_minute=2, burst=2)))["token"]
    assert [(await upload(anonymous, token)).status_code for _ in range(2)] == [200, 429]


async def test_cdn_upload_with_key_works(fal: httpx.AsyncClient) -> None:
    assert (await fal.post(UPLOAD, content=PHOTO)).status_code == 200


async def test_cdn_token_is_not_logged(
    fal: httpx.AsyncClient, anonymous: httpx.AsyncClient, capfd: pytest.CaptureFixture[str]
) -> None:
    token = (await issued(fal))["token"]
    for _ in range(2):  # the line of a call is written after its response
        await upload(anonymous, token)
    printed = capfd.readouterr()
    assert '"/fal/rest/files/upload"' in printed.err
    assert token[4:] not in printed.out + printed.err
