"""Signatures that the public libraries of Python and JavaScript accept, also during rotation; and Ed25519."""

import base64
import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from fastapi import FastAPI
from standardwebhooks import Webhook, WebhookVerificationError

from service.domain.signing import MOST_KEYS
from service.domain.tenant import Tenant
from service.runtime import Runtime
from tests.conftest import client_of
from tests.support.factories import Clock
from tests.support.receiver import Received, Receiver
from tests.support.webhooks import ENDPOINTS, changed, drained, ended, endpoint

DAY = 24 * 3600
JAVASCRIPT = """
const { Webhook } = require("standardwebhooks");
const { secret, headers, body } = JSON.parse(require("fs").readFileSync(0, "utf8"));
try {
  console.log(JSON.stringify({ event: new Webhook(secret).verify(body, headers) }));
} catch (error) {
  console.log(JSON.stringify({ refused: error.message }));
}
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def in_javascript(folder: Path, secret: str, came: Received) -> Any:
    message = json.dumps({"secret": secret, "headers": came.headers, "body": came.body.decode()})
    ran = subprocess.run(
        ["node", "-e", JAVASCRIPT], cwd=folder, input=message, capture_output=True, text=True, timeout=30, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


async def event(api: httpx.AsyncClient, runtime: Runtime, receiver: Receiver, clock: Clock) -> Received:
    """Return the newest request of a new event, on the real clock: libraries refuse timestamps over 5 minutes old."""
    clock.now = datetime.now(UTC)
    await ended(api)
    await drained(runtime)
    return receiver.received[-1]


async def rotate(api: httpx.AsyncClient, name: str, **body: Any) -> dict[str, Any]:
    answer = await api.post(f"{ENDPOINTS}/{name}/rotate-secret", json=body)
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def test_libraries_accept_both_secrets_during_overlap(
    api: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver, javascript: Path
) -> None:
    made = await endpoint(api, receiver.url)
    first = await event(api, runtime, receiver, clock)
    assert in_javascript(javascript, made["secret"], first) == {"event": first.json}
    assert first.verified(made["secret"]) == first.json

    shown = await rotate(api, made["id"])

    both = await event(api, runtime, receiver, clock)
    for secret in (shown["secret"], made["secret"]):
        assert both.verified(secret) == both.json
        assert in_javascript(javascript, secret, both) == {"event": both.json}
    assert "refused" in in_javascript(javascript, first_other(made["secret"]), both)
    current, old = both.headers["webhook-signature"].split()
    assert current == signature(shown["secret"], both), "the current one comes first"
    assert old == signature(made["secret"], both)


def first_other(secret: str) -> str:
    return "whsec_" + base64.b64encode(base64.b64decode(secret.removeprefix("whsec_"))[::-1]).decode()


def signature(secret: str, came: Received) -> str:
    at = datetime.fromtimestamp(int(came.headers["webhook-timestamp"]), UTC)
    return str(Webhook(secret).sign(came.headers["webhook-id"], at, came.body.decode()))


async def test_old_secret_signs_for_one_day_by_default(
    api: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver
) -> None:
    made = await endpoint(api, receiver.url)
    shown = await rotate(api, made["id"])
    assert [key["secret"] for key in shown["keys"]] == [shown["secret"], made["secret"]]
    assert shown["keys"][0]["expires_at"] is None
    for seconds, signatures in ((DAY - 1, 2), (1, 1)):
        clock.advance(timedelta(seconds=seconds))
        await ended(api)
        await drained(runtime)
        assert len(receiver.received[-1].headers["webhook-signature"].split()) == signatures
    assert len((await api.get(f"{ENDPOINTS}/{made['id']}/secret")).json()["keys"]) == 1


@pytest.mark.parametrize(("overlap", "status"), [(0, 200), (7 * DAY, 200), (7 * DAY + 1, 422), (-1, 422)])
async def test_rotation_overlap_is_at_most_a_week(api: httpx.AsyncClient, overlap: int, status: int) -> None:
    made = await endpoint(api, "https://receiver.example/")
    for name in (made["id"], "default"):
        answer = await api.post(f"{ENDPOINTS}/{name}/rotate-secret", json={"overlap_seconds": overlap})
        assert answer.status_code == status
        if status == 200:
            assert len(answer.json()["keys"]) == (2 if overlap else 1)


async def test_rotation_without_overlap_ends_all_old_secrets(
    api: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver
) -> None:
    made = await endpoint(api, receiver.url)
    for _ in range(6):
        await rotate(api, made["id"], overlap_seconds=7 * DAY)
    came = await event(api, runtime, receiver, clock)
    assert len(came.headers["webhook-signature"].split()) == 7
    shown = await rotate(api, made["id"], overlap_seconds=0)
    assert len(shown["keys"]) == 1
    came = await event(api, runtime, receiver, clock)
    assert came.headers["webhook-signature"] == signature(shown["secret"], came)


@pytest.mark.parametrize("default", [False, True])
async def test_rotation_that_shortens_overlap_returns_409(
    api: httpx.AsyncClient, clock: Clock, *, default: bool
) -> None:
    made = await endpoint(api, "https://receiver.example/")
    path = f"{ENDPOINTS}/{'default' if default else made['id']}"
    first = (await api.get(f"{path}/secret")).json()["secret"]
    for _ in range(MOST_KEYS - 1):
        clock.advance(timedelta(minutes=1))
        assert (await api.post(f"{path}/rotate-secret", json={})).status_code == 200
    before = (await api.get(f"{path}/secret")).json()
    assert first in [key["secret"] for key in before["keys"]]

    refused = await api.post(f"{path}/rotate-secret", json={})

    assert (refused.status_code, refused.json()["code"]) == (409, "overlap_promised")
    assert (await api.get(f"{path}/secret")).json() == before
    clock.advance(timedelta(days=1))
    assert (await api.post(f"{path}/rotate-secret", json={})).status_code == 200


async def test_retry_during_rotation_is_signed_with_new_secret(
    api: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver
) -> None:
    receiver.answers[:] = [500]
    made = await endpoint(api, receiver.url)
    first = await event(api, runtime, receiver, clock)
    shown = await rotate(api, made["id"], overlap_seconds=0)
    clock.advance(timedelta(seconds=7))
    await drained(runtime)
    second = receiver.received[1]
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)
    assert second.verified(shown["secret"]) == second.json
    with pytest.raises(WebhookVerificationError):
        second.verified(made["secret"])


async def test_tenant_secret_rotation(
    api: httpx.AsyncClient, runtime: Runtime, clock: Clock, tenant: Tenant, receiver: Receiver
) -> None:
    shown = await rotate(api, "default")
    clock.now = datetime.now(UTC)
    await ended(api, webhook_url=receiver.url)
    await drained(runtime)
    came = receiver.received[-1]
    assert shown["secret"] != tenant.webhook_secret
    assert came.verified(shown["secret"]) == came.verified(tenant.webhook_secret) == came.json
    clock.advance(timedelta(days=1))
    assert len((await api.get(f"{ENDPOINTS}/default/secret")).json()["keys"]) == 1


# --- Ed25519 ----------------------------------------------------------------------------------------------------------


async def test_ed25519_key_signs_and_is_public(
    app: FastAPI, api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, clock: Clock, receiver: Receiver
) -> None:
    made = await endpoint(api, receiver.url, ed25519=True)
    came = await event(api, runtime, receiver, clock)
    assert came.verified(made["secret"]) == came.json, "libraries for v1 only skip the other signature"
    v1, v1a = came.headers["webhook-signature"].split()
    assert (v1.partition(",")[0], v1a.partition(",")[0]) == ("v1", "v1a")
    async with client_of(app) as anybody:
        shown = (await anybody.get(f"/.well-known/webhook-keys/{tenant.id}/{made['id']}")).json()
    assert shown["public_keys"] == [made["public_key"]]
    (jwk,) = shown["keys"]
    assert (jwk["kty"], jwk["crv"]) == ("OKP", "Ed25519")
    raw = base64.urlsafe_b64decode(jwk["x"] + "=")
    assert raw == base64.b64decode(made["public_key"].removeprefix("whpk_"))
    verify(raw, v1a, came)


def verify(raw: bytes, v1a: str, came: Received) -> None:
    message = b".".join([came.headers["webhook-id"].encode(), came.headers["webhook-timestamp"].encode(), came.body])
    Ed25519PublicKey.from_public_bytes(raw).verify(base64.b64decode(v1a.partition(",")[2]), message)


async def test_rotated_public_key_is_listed_during_overlap(
    api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, clock: Clock, receiver: Receiver
) -> None:
    made = await endpoint(api, receiver.url, ed25519=True)
    shown = await rotate(api, made["id"], overlap_seconds=60)
    path = f"/.well-known/webhook-keys/{tenant.id}/{made['id']}"
    assert (await api.get(path)).json()["public_keys"] == [shown["public_key"], made["public_key"]]
    came = await event(api, runtime, receiver, clock)
    assert [each.partition(",")[0] for each in came.headers["webhook-signature"].split()] == ["v1", "v1a"] * 2
    new, old = (base64.b64decode(key.removeprefix("whpk_")) for key in (shown["public_key"], made["public_key"]))
    _, first, _, second = came.headers["webhook-signature"].split()
    verify(new, first, came)
    verify(old, second, came)
    with pytest.raises(InvalidSignature):
        verify(old, first, came)
    clock.advance(timedelta(seconds=61))
    assert (await api.get(path)).json()["public_keys"] == [shown["public_key"]]


async def test_public_keys_without_ed25519_returns_404(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, tenant: Tenant
) -> None:
    made = await endpoint(api, "https://receiver.example/")
    path = f"/.well-known/webhook-keys/{tenant.id}/{made['id']}"
    assert (await api.get(path)).status_code == 404
    await changed(api, made, ed25519=True)
    assert (await api.get(path)).status_code == 200
    shown = (await api.get(f"{ENDPOINTS}/{made['id']}/secret")).json()
    assert shown["secret"] == made["secret"], "the secret stays"
    for wrong in (f"{tenant.id}/x", f"x/{made['id']}", f"{made['id']}/{tenant.id}"):
        assert (await api.get(f"/.well-known/webhook-keys/{wrong}")).status_code == 404
    await changed(api, made, ed25519=False)
    assert (await api.get(path)).status_code == 404
