"""Uploads of images as the JavaScript client does them: a request for an upload URL, then the bytes without a key."""

import base64
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from cryptography.fernet import Fernet
from pydantic_core import to_json

from service.api.fal.uploads import LIFETIME
from service.config.settings import Settings
from service.runtime import Runtime
from tests.integration.api.fal.conftest import MODEL, PUBLIC, QUEUE
from tests.support import factories, pictures

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


async def test_fal_upload_initiate_accepts_images_only(fal: httpx.AsyncClient) -> None:
    for body in ({"content_type": "video/mp4"}, {}, {"content_type": "image/svg+xml"}):
        assert (await fal.post(INITIATE, json=body)).status_code == 415
    assert (await fal.post(INITIATE, json={"content_type": 5})).status_code == 422
    assert (await fal.post(f"{INITIATE}-multipart", json={"content_type": "image/png"})).status_code == 413


async def test_fal_upload_malformed_ticket_is_refused(anonymous: httpx.AsyncClient, runtime: Runtime) -> None:
    """Other values that are encrypted with the same key are refused too."""
    tenant = await runtime.tenants.service.create("acme")
    other_api = Fernet(Fernet.generate_key()).encrypt(b"{}").decode()
    for ticket in (
        "",
        "x",
        "é",
        other_api,
        runtime.tenants.sealer.seal(tenant.webhook_secret),
        runtime.tenants.sealer.seal("{}"),
    ):
        answer = await put(anonymous, f"/fal/upload?ticket={ticket}")
        assert (answer.status_code, isinstance(answer.json()["detail"], str)) == (401, True)


async def test_fal_upload_expired_ticket_is_refused(
    fal: httpx.AsyncClient, anonymous: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    url, now = local((await initiated(fal))["upload_url"]), time.time()
    monkeypatch.setattr(time, "time", lambda: now + LIFETIME.total_seconds() + 1)
    assert (await put(anonymous, url)).status_code == 401
    monkeypatch.setattr(time, "time", lambda: now + (LIFETIME - timedelta(seconds=1)).total_seconds())
    assert (await put(anonymous, url)).status_code == 200


async def test_fal_upload_changed_ticket_is_refused(fal: httpx.AsyncClient, anonymous: httpx.AsyncClient) -> None:
    url = local((await initiated(fal))["upload_url"])
    assert (await put(anonymous, url[:-10] + "AAAAAAAA" + url[-2:])).status_code == 401


async def test_fal_upload_ticket_is_not_logged(
    fal: httpx.AsyncClient, anonymous: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    url = local((await initiated(fal))["upload_url"])
    await put(anonymous, url)
    printed = capsys.readouterr()
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
