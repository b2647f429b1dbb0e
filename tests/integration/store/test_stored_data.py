"""What Redis holds of a generation with marked secrets, compared with the table of the documentation."""

import asyncio
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from service.cli.dev.embedded_redis import EmbeddedRedis
from service.config.settings import Settings
from service.domain.actor import ActorKind
from service.domain.console_session import Subject
from service.domain.tenant import Tenant
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from tests.conftest import client_of
from tests.support import factories, pictures, tokens
from tests.support.factories import Clock, create_body
from tests.support.receiver import Receiver
from tests.support.waiting import Patience, process_due

TABLE = Path(__file__).parents[3] / "docs/architecture/stored-data.md"
MARKS = {
    "prompt": "marked-prompt",
    "image URL": "marked-image-url",
    "metadata": "marked-metadata",
    "end user id": "marked-end-user",
    "`webhook_url` of a request": "marked-webhook-url",
    "idempotency key": "marked-idempotency-key",
    "URL of a webhook endpoint": "marked-endpoint-url",
    "headers of a webhook endpoint": "marked-endpoint-header",
    "name of an operator": "marked-operator",
    "audience of a trusted issuer": "marked-audience",
    "subject of a service's token": "marked-subject",
    "reason of an act": "marked-reason",
    "name of a console session's local user": "marked-local-user",
    "fal key": "marked-fal-key-secret",
    "secret key": factories.SECRET_KEY,
    "admin token": factories.ADMIN_TOKEN,
}


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis whose append-only file has the values of this test, and of no other."""
    server = EmbeddedRedis(tmp_path)
    try:
        yield server.start()
    finally:
        server.end()


@pytest.fixture
def settings(own_redis: EmbeddedRedis, sandbox_url: str) -> Settings:
    return factories.sandbox_settings(
        own_redis.url,
        sandbox_url,
        public_url="http://gateway.test",
        fal_key=SecretStr(f"marked-fal-key-id:{MARKS['fal key']}"),
    )


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


async def lived(api: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver) -> dict[str, str]:
    """Live through a generation with every kind of secret; return the secrets that the gateway made."""
    address = receiver.url.rstrip("/")
    own = {
        "url": f"{address}/{MARKS['URL of a webhook endpoint']}",
        "headers": {"x-own": MARKS["headers of a webhook endpoint"]},
    }
    hook = (await api.post("/v1/webhook-endpoints", json=own)).raise_for_status().json()
    ticket = await api.post("/fal/rest/storage/upload/initiate", json={"content_type": "image/png"})
    place = urlsplit(ticket.raise_for_status().json()["upload_url"])
    image, media = pictures.encoded("png"), {"content-type": "image/png"}
    (await api.put(f"{place.path}?{place.query}", content=image, headers=media)).raise_for_status()
    body = create_body(
        prompt=f"sandbox:no-video {MARKS['prompt']}",
        image_url=f"https://v3b.fal.media/{MARKS['image URL']}.jpg",
        metadata={"order": MARKS["metadata"]},
        end_user_id=MARKS["end user id"],
        webhook_url=f"{address}/{MARKS['`webhook_url` of a request']}",
    )
    headers = {"idempotency-key": MARKS["idempotency key"]}
    g = (await api.post("/v1/generations", json=body, headers=headers)).raise_for_status().json()
    assert (await api.post("/v1/generations", json=body, headers=headers)).json()["id"] == g["id"]
    await ended(api, runtime, clock, g["id"])
    (await api.post(f"/v1/webhook-endpoints/{hook['id']}/test")).raise_for_status()
    await process_due(runtime, WorkQueue.DELIVER)
    assert len(receiver.received) == 3, "the event to both receivers, and the test event"
    await assert_shown(api, hook["url"], body["webhook_url"])
    record = await runtime.stores.generations.load(g["id"])
    assert record is not None
    assert record.output is not None
    return {
        "secret of a webhook endpoint": hook["secret"],
        "upload ticket": place.query.partition("=")[2],
        "API key": api.headers["authorization"].rpartition("_")[2][:40],
        "callback token": record.callback_token,
        "URL of the video": record.output.video.url,
        "URL of an upload at fal": ticket.json()["file_url"],
    }


async def managed(app: FastAPI, operator: httpx.AsyncClient, tenant: Tenant, clock: Clock) -> dict[str, str]:
    """Act as an operator, as a service and in the console; return the secrets of these acts."""
    name, audience, subject = (
        MARKS[key] for key in ("name of an operator", "audience of a trusted issuer", "subject of a service's token")
    )
    person = await operator.post("/admin/v1/operators", json={"name": name, "role": "operator"})
    path = f"/admin/v1/operators/{person.raise_for_status().json()['id']}/tokens"
    token = (await operator.post(path)).raise_for_status().json()["token"]
    trusted = tokens.rule(audience=audience, subject=subject, scopes=["manage"])
    (await operator.post(f"/admin/v1/tenants/{tenant.id}/issuers", json=trusted)).raise_for_status()
    claims = tokens.claims_of_service(clock(), aud=audience, sub=subject)
    service = tokens.signed(claims)
    reason = {"reason": MARKS["reason of an act"]}
    async with client_of(app, token) as ada, client_of(app, service) as robot:
        (await ada.post("/admin/v1/pause", json=reason)).raise_for_status()
        (await ada.post("/admin/v1/resume")).raise_for_status()
        wanted = {"kind": "cancel", "filter": {"tenant_id": tenant.id, "end_user_id": MARKS["end user id"]}}
        job = {**wanted, **reason, "previewed_at": clock().isoformat(), "expected": 0}
        (await ada.post("/admin/v1/bulk", json=job)).raise_for_status()
        assert (await robot.delete("/v1/webhook-endpoints/whe_1")).status_code == 404
    console = app.state.runtime.console
    user = Subject(ActorKind.LOCAL, MARKS["name of a console session's local user"])
    return {
        "operator's token": token.rpartition("_")[2][:40],
        "token of a service": service.rpartition(".")[2],
        "ticket of a login link": await console.login.issue_ticket(user),
        "id of a console session": await console.sessions.begin(user),
    }


async def assert_shown(api: httpx.AsyncClient, endpoint_url: str, webhook_url: str) -> None:
    """The tenant sees what is encrypted in Redis."""
    listed = (await api.get("/v1/deliveries")).raise_for_status().json()["data"]
    assert {delivery["url"] for delivery in listed} == {endpoint_url, webhook_url}
    about = next(delivery for delivery in listed if delivery["generation_id"] is None)
    assert endpoint_url in (await api.get(f"/v1/deliveries/{about['id']}")).json()["body"]


async def ended(api: httpx.AsyncClient, runtime: Runtime, clock: Clock, generation_id: str) -> None:
    patience = Patience()
    async with asyncio.timeout(60):
        while (await api.get(f"/v1/generations/{generation_id}")).json()["status"] != "succeeded":
            clock.advance(timedelta(seconds=1))
            await process_due(runtime, WorkQueue.DISPATCH)
            await process_due(runtime, WorkQueue.POLL)
            await patience.pause()


def table() -> dict[str, str]:
    return dict(re.findall(r"^\| (?!Data)([^|]+?) \| ([^|]+?) \|", TABLE.read_text(), re.MULTILINE))


def append_only_file(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*.aof"))


async def test_redis_holds_what_the_table_says(
    app: FastAPI,
    api: httpx.AsyncClient,
    operator: httpx.AsyncClient,
    runtime: Runtime,
    tenant: Tenant,
    clock: Clock,
    receiver: Receiver,
    tmp_path: Path,
) -> None:
    """The append-only file has every write since the start, also of what was deleted since."""
    marks = {
        **MARKS,
        **await lived(api, runtime, clock, receiver),
        **await managed(app, operator, tenant, clock),
        "webhook secret of a tenant": tenant.webhook_secret,
        "signing key of fal-style webhooks": tenant.fal_signing_key,
        "key of the pseudonyms": tenant.pseudonym_key,
    }
    written = append_only_file(tmp_path)
    assert tenant.id.encode() in written, "the file is of the right Redis"

    in_clear = {name for name, mark in marks.items() if mark.encode() in written}

    expected = table()
    assert marks.keys() == expected.keys(), "the table has every mark"
    assert in_clear == {name for name, form in expected.items() if form == "clear text"}
