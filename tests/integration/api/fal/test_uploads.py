"""Uploads of images as the JavaScript client does them: a request for an upload URL, then the bytes without a key."""

import asyncio
import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI
from pydantic_core import to_json

from service.config.settings import Settings
from service.domain.tenant import Tenant
from service.errors import UpstreamUnavailable
from service.runtime import Runtime
from service.store import keys
from service.store.redis.client import Redis
from service.store.tenants.upload_tickets import LIFETIME
from service.upstream.hosts import FalHosts
from service.upstream.storage import FalStorage, UploadTarget
from tests.conftest import client_of
from tests.integration.api.fal.conftest import MODEL, PUBLIC, QUEUE
from tests.support import factories, pictures
from tests.support.factories import Clock
from tests.support.void_keys import make_void

SAMPLES = Path(__file__).parents[4] / "deploy/sandbox/samples"
PHOTO = (SAMPLES / "rocket.jpg").read_bytes()
LIMIT = len(PHOTO)
INITIATE = "/fal/rest/storage/upload/initiate"


@pytest.fixture
def settings(redis_url: str, sandbox_url: str) -> Settings:
    return factories.sandbox_settings(redis_url, sandbox_url, public_url=PUBLIC, max_upload_bytes=LIMIT)


async def initiated(client: httpx.AsyncClient, **changes: Any) -> dict[str, str]:
    body = {"content_type": "image/jpeg", "file_name": "photo.jpg", **changes}
    answer = await client.post(f"{INITIATE}?storage_type=fal-cdn-v3", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, str] = answer.json()
    return found


def local(url: str) -> str:
    """Return the part of an upload URL that the app receives behind the public address."""
    assert url.startswith(f"{PUBLIC}/fal/upload?")
    parts = urlsplit(url.removeprefix(PUBLIC))
    return f"{parts.path}?{parts.query}"


async def put(client: httpx.AsyncClient, url: str, content: bytes = PHOTO) -> httpx.Response:
    return await client.put(url, content=content, headers={"content-type": "image/jpeg"})


async def test_fal_upload_bytes_are_at_file_url(
    fal: httpx.AsyncClient, anonymous: httpx.AsyncClient, settings: Settings
) -> None:
    place = await initiated(fal)
    answer = await put(anonymous, local(place["upload_url"]))
    assert (answer.status_code, answer.json()) == (200, {})
    assert answer.headers["x-fal-request-id"]
    async with httpx.AsyncClient(trust_env=False) as client:
        stored = (await client.get(place["file_url"])).content
    assert pictures.opened(stored).tobytes() == pictures.opened(PHOTO).tobytes()
    assert settings.fal_rest_url.rpartition("/")[0] not in place["upload_url"]


@pytest.mark.parametrize("content", [b"", b"GIF89a" + b"x" * 100, b"<svg></svg>" * 20, PHOTO + b"x"])
async def test_fal_upload_no_image_or_too_large_is_refused(
    fal: httpx.AsyncClient, anonymous: httpx.AsyncClient, content: bytes
) -> None:
    answer = await put(anonymous, local((await initiated(fal))["upload_url"]), content)
    assert answer.status_code in (400, 413, 422)
    assert answer.json()["detail"]


async def test_fal_upload_initiate_with_wrong_body_is_refused(fal: httpx.AsyncClient) -> None:
    assert (await fal.post(INITIATE, json={"content_type": 5})).status_code == 422
    assert (await fal.post(f"{INITIATE}-multipart", json={"content_type": "image/png"})).status_code == 413


async def test_fal_upload_malformed_ticket_is_refused(anonymous: httpx.AsyncClient) -> None:
    for ticket in ("", "x", "é", "A" * 43, "x" * 4000):
        answer = await put(anonymous, f"/fal/upload?ticket={ticket}")
        assert (answer.status_code, isinstance(answer.json()["detail"], str)) == (401, True)


async def test_fal_upload_ticket_is_random_and_expires(
    fal: httpx.AsyncClient, anonymous: httpx.AsyncClient, redis: Redis
) -> None:
    urls = [local((await initiated(fal))["upload_url"]) for _ in range(2)]
    tickets = [url.partition("ticket=")[2] for url in urls]
    assert len(set(tickets)) == 2
    assert {len(ticket) for ticket in tickets} == {43}, "32 random bytes"
    name = keys.upload_ticket(tickets[0])
    assert 0 < await redis.execute("PTTL", name) <= LIFETIME.total_seconds() * 1000
    assert tickets[0] not in name
    await redis.execute("PEXPIRE", name, 0)
    assert [(await put(anonymous, url)).status_code for url in urls] == [401, 200]


async def test_fal_upload_ticket_is_used_once(fal: httpx.AsyncClient, anonymous: httpx.AsyncClient) -> None:
    first, second = [local((await initiated(fal))["upload_url"]) for _ in range(2)]
    answers = await asyncio.gather(*(put(anonymous, first) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401]
    assert (await put(anonymous, second, b"not an image")).status_code == 422
    assert (await put(anonymous, second)).status_code == 401, "used, although it failed"


@pytest.mark.parametrize(("how", "status"), [("revoked", 401), ("expired", 401), ("suspended", 403), ("deleted", 401)])
async def test_fal_upload_ticket_is_void_with_its_key(
    runtime: Runtime, app: FastAPI, tenant: Tenant, clock: Clock, anonymous: httpx.AsyncClient, how: str, status: int
) -> None:
    tenants = runtime.tenants
    key = await tenants.api_keys.create(tenant.id, expires_at=clock() + timedelta(minutes=1))
    async with client_of(app, key.text) as client:
        url = local((await initiated(client))["upload_url"])
    await make_void(runtime, clock, tenant, key, how)
    assert (await put(anonymous, url)).status_code == status


@pytest.mark.parametrize("field", ["upload_url", "file_url"])
@pytest.mark.parametrize(
    "url",
    [
        "https://storage.attacker.example/put",
        "http://v3b.fal.media/files/a.jpg",
        "https://v3b.fal.media@attacker.example/a",
        "https://fal.media.attacker.example/a",
        "http://169.254.169.254/latest",
    ],
)
async def test_fal_upload_goes_to_hosts_of_fal_only(settings: Settings, field: str, url: str) -> None:
    """fal's storage, or what answers in its place, names the host that receives the bytes."""
    own = {"upload_url": "https://v3b.fal.media/files/put", "file_url": "https://v3b.fal.media/files/a.jpg"}
    hosts = FalHosts(settings.fal_media_hosts, (settings.fal_rest_url,))
    for answered, expected in (({**own, field: url}, None), (own, UploadTarget(**own, content_type="image/jpeg"))):
        with scripted_storage(answered) as rest_url:
            async with FalStorage(hosts, rest_url=rest_url, key="k:s", timeout=20) as storage:
                if expected is None:
                    with pytest.raises(UpstreamUnavailable, match="another host"):
                        await storage.create_target(content_type="image/jpeg", file_name="a.jpg")
                else:
                    assert await storage.create_target(content_type="image/jpeg", file_name="a.jpg") == expected


@contextmanager
def scripted_storage(answer: dict[str, str]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = to_json(answer)
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


async def test_fal_upload_ticket_is_not_logged(
    fal: httpx.AsyncClient, anonymous: httpx.AsyncClient, capfd: pytest.CaptureFixture[str]
) -> None:
    url = local((await initiated(fal))["upload_url"])
    await put(anonymous, url)
    printed = capfd.readouterr()
    assert url.partition("ticket=")[2] not in printed.out + printed.err


@pytest.mark.parametrize("proxied", [False, True])
async def test_fal_submit_with_data_uri(fal: httpx.AsyncClient, runtime: Runtime, proxied: bool) -> None:
    uri = f"data:image/jpeg;base64,{base64.b64encode(PHOTO).decode()}"
    path, headers = f"{QUEUE}/{MODEL}", {}
    if proxied:
        path, headers = "/fal/proxy", {"x-fal-target-url": f"https://queue.fal.run/{MODEL}"}
    answer = await fal.post(path, json=factories.create_body(image_url=uri), headers=headers)
    assert answer.status_code == 200, answer.text
    g = await runtime.stores.generations.load(answer.json()["request_id"])
    assert g is not None
    assert g.input["image_url"].startswith("http")


@pytest.mark.parametrize("padding", [b" " * 200_000, b"," * 200_000], ids=["plain", "fields without end"])
async def test_fal_submit_large_body_without_image_returns_413(fal: httpx.AsyncClient, padding: bytes) -> None:
    body = factories.create_body(metadata={"x": "y"})
    answer = await fal.post(f"{QUEUE}/{MODEL}", content=to_json(body) + padding)
    assert (answer.status_code, answer.json()["error_type"]) == (413, "too_large")
