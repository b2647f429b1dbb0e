"""``fal_webhook``: events in fal's format with fal's signature. A receiver changes only the URL of the key set."""

import base64
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic_core import from_json

from service.config.settings import Settings
from service.domain.failure import Failure
from service.domain.tenant import Tenant
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from tests.integration.api.fal.conftest import request_path, submitted
from tests.integration.api.fal.test_queue import ended, moved
from tests.support import factories
from tests.support.factories import Clock
from tests.support.receiver import Received, Receiver
from tests.support.webhooks import deliveries, endpoint

#: fal's own receivers refuse older timestamps, and timestamps in the future.
TOLERANCE = timedelta(seconds=300)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


async def delivered(runtime: Runtime) -> None:
    await runtime.queues.run(WorkQueue.DELIVER)
    await runtime.queues.consumers[WorkQueue.DELIVER].idle()


async def verified(client: httpx.AsyncClient, came: Received) -> dict[str, Any]:
    """Verify as fal's documentation describes. Raises if the signature is invalid."""
    answer = await client.get(f"/fal/.well-known/{came.headers['x-fal-webhook-user-id']}/jwks.json")
    assert answer.status_code == 200
    names = ("request-id", "user-id", "timestamp")
    lines = [*(came.headers[f"x-fal-webhook-{name}"] for name in names), hashlib.sha256(came.body).hexdigest()]
    signature = bytes.fromhex(came.headers["x-fal-webhook-signature"])
    (key,) = answer.json()["keys"]
    public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key["x"] + "="))
    public.verify(signature, "\n".join(lines).encode())
    signed_at = datetime.fromtimestamp(int(came.headers["x-fal-webhook-timestamp"]), UTC)
    assert abs(datetime.now(UTC) - signed_at) < TOLERANCE
    body: dict[str, Any] = from_json(came.body)
    assert came.headers["x-fal-webhook-request-id"] == body["request_id"] == body["gateway_request_id"]
    return body


async def test_fal_webhook_of_success(
    fal: httpx.AsyncClient, anonymous: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver
) -> None:
    name = await submitted(fal, query=f"?fal_webhook={receiver.url}")
    await moved(runtime, clock, name, "submitting", "submitted", "started")
    await ended(runtime, clock, name)
    await delivered(runtime)
    (came,) = receiver.received
    body = await verified(anonymous, came)
    assert (body["request_id"], body["status"]) == (name, "OK")
    assert body["payload"] == (await fal.get(request_path(name))).json()
    assert not any(header.startswith("webhook-") for header in came.headers)
    assert came.headers["content-type"] == "application/json"


async def test_fal_webhook_of_failure(
    fal: httpx.AsyncClient, anonymous: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver
) -> None:
    name = await submitted(fal, query=f"?fal_webhook={receiver.url}")
    await moved(runtime, clock, name, "submitting", "submitted", "started")
    await ended(runtime, clock, name, failure=Failure("content_policy", "No.", detail=[{"type": "x", "msg": "No."}]))
    await delivered(runtime)
    body = await verified(anonymous, receiver.received[0])
    assert (body["status"], body["error"]) == ("ERROR", "Invalid status code: 422")
    assert body["payload"] == {"detail": [{"type": "x", "msg": "No."}]}


async def test_fal_webhook_retry_has_same_body(
    fal: httpx.AsyncClient, anonymous: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver
) -> None:
    receiver.answers[:] = [500]
    name = await submitted(fal, query=f"?fal_webhook={receiver.url}")
    await fal.put(f"{request_path(name)}/cancel")
    await delivered(runtime)
    clock.advance(timedelta(seconds=10))
    await delivered(runtime)
    first, second = receiver.received
    assert first.body == second.body
    assert (await verified(anonymous, first))["error"] == "Invalid status code: 499"
    await verified(anonymous, second)


async def test_fal_webhook_native_url_gets_native_event(
    fal: httpx.AsyncClient, runtime: Runtime, tenant: Any, receiver: Receiver
) -> None:
    name = await submitted(fal, webhook_url=receiver.url)
    await fal.put(f"{request_path(name)}/cancel")
    await delivered(runtime)
    event = receiver.received[0].verified(tenant.webhook_secret)
    assert (event["type"], event["data"]["id"]) == ("generation.canceled", name)


async def test_fal_webhook_endpoints_get_native_event_too(
    fal: httpx.AsyncClient,
    api: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
    runtime: Runtime,
    clock: Clock,
    receiver: Receiver,
) -> None:
    with Receiver() as own:
        made = await endpoint(api, own.url)
        name = await submitted(fal, query=f"?fal_webhook={receiver.url}")
        await fal.put(f"{request_path(name)}/cancel")
        await delivered(runtime)
        assert own.received[0].verified(made["secret"])["data"]["id"] == name
    assert (await verified(anonymous, receiver.received[0]))["request_id"] == name


async def test_fal_webhook_replay_is_signed_again(
    fal: httpx.AsyncClient,
    api: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
    runtime: Runtime,
    clock: Clock,
    receiver: Receiver,
) -> None:
    name = await submitted(fal, query=f"?fal_webhook={receiver.url}")
    await fal.put(f"{request_path(name)}/cancel")
    await delivered(runtime)
    (delivery,) = await deliveries(api, generation_id=name)
    clock.advance(timedelta(seconds=60))
    assert (await api.post(f"/v1/deliveries/{delivery['id']}/redeliver")).is_success
    await delivered(runtime)
    first, again = receiver.received
    assert (again.body, await verified(anonymous, again)) == (first.body, await verified(anonymous, first))
    assert again.headers["x-fal-webhook-timestamp"] != first.headers["x-fal-webhook-timestamp"]


async def test_fal_key_set_is_of_one_tenant_and_random(
    anonymous: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, settings: Settings
) -> None:
    """A key that is derived from the secret key could be used to guess the secret key offline."""
    other = await runtime.tenants.service.create("other")
    found = [(await anonymous.get(f"/fal/.well-known/{t.id}/jwks.json")).json()["keys"] for t in (tenant, other)]
    assert [len(keys) for keys in found] == [1, 1]
    assert found[0][0]["x"] != found[1][0]["x"]
    info = b"seedance-gateway fal webhooks"
    for secret in settings.secret_keys():
        seed = HKDF(SHA256(), 32, salt=None, info=info).derive(secret.encode())
        public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        assert base64.urlsafe_b64encode(public).rstrip(b"=").decode() not in str(found)
    for unknown in (factories.tenant().id, "x", f"{tenant.id}x"):
        assert (await anonymous.get(f"/fal/.well-known/{unknown}/jwks.json")).status_code == 404


async def test_fal_key_set_has_no_secret(anonymous: httpx.AsyncClient, tenant: Tenant) -> None:
    answer = await anonymous.get(f"/fal/.well-known/{tenant.id}/jwks.json")
    assert {name for key in answer.json()["keys"] for name in key} == {"kty", "crv", "x", "use", "alg"}
    assert tenant.fal_signing_key.removeprefix("whsk_")[:20] not in answer.text
