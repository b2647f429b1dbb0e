"""Outgoing webhooks: bodies, signatures, retries."""

import asyncio
import time

import httpx
import pytest

from sandbox.signing import Signer
from tests.integration.sandbox.driver import APP, QUICK, Fal
from tests.integration.sandbox.receiver import Receiver
from tests.integration.sandbox.signatures import Verifier

#: The vector of the contract: a synthetic key over a body of 149 bytes.
SEED = bytes(range(32))
REQUEST_ID = "764cabcf-b745-4b3e-ae38-1200304cf45b"
BODY = (
    f'{{"request_id":"{REQUEST_ID}","gateway_request_id":"{REQUEST_ID}","status":"OK","payload":{{"seed":42}}}}'
).encode()
SIGNATURE = (
    "a764742c7d9c7f78bf2463af8869606b785b54ea76ade57949b14dac349e9d7f"
    "648e853f0a85ba2611450efaf30f8f0e255a350dfd4285d6c5f562f196a5480e"
)


def test_signature_matches_contract_vector() -> None:
    signer = Signer.from_seed(SEED, user_id="user-1")
    headers = signer.headers(REQUEST_ID, 1700000000, BODY)
    assert len(BODY) == 149
    assert signer.jwk["x"] == "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"
    assert headers["X-Fal-Webhook-Signature"] == SIGNATURE


async def test_success_webhook_is_signed_with_a_published_key(fal: Fal, receiver: Receiver) -> None:
    request_id = await fal.submit(webhook=receiver.url)
    (delivery,) = await receiver.expect()
    verifier = await Verifier.published(fal.http)
    assert delivery.body == {
        "request_id": request_id,
        "gateway_request_id": request_id,
        "status": "OK",
        "payload": (await fal.result(request_id)).json(),
    }
    assert delivery.headers["content-type"] == "application/json"
    assert delivery.headers["X-Fal-Webhook-Request-Id"] == request_id
    assert abs(time.time() - int(delivery.headers["X-Fal-Webhook-Timestamp"])) < 5
    assert len(verifier.keys) > 1
    assert verifier.accepts(delivery)


async def test_signature_of_changed_body_is_invalid(fal: Fal, receiver: Receiver) -> None:
    await fal.submit(webhook=receiver.url)
    (delivery,) = await receiver.expect()
    changed = type(delivery)(delivery.headers, delivery.raw + b" ")
    assert not (await Verifier.published(fal.http)).accepts(changed)


async def test_public_keys_have_no_padding(http: httpx.AsyncClient) -> None:
    keys = (await http.get("/rest/.well-known/jwks.json")).json()["keys"]
    assert {(key["kty"], key["crv"], len(key["x"])) for key in keys} == {("OKP", "Ed25519", 43)}


async def test_failure_webhook_has_code_and_detail(fal: Fal, receiver: Receiver) -> None:
    request_id = await fal.submit("sandbox:policy", webhook=receiver.url)
    (delivery,) = await receiver.expect()
    assert (delivery.body["status"], delivery.body["error"]) == ("ERROR", "Invalid status code: 422")
    assert delivery.body["payload"] == (await fal.result(request_id)).json()


async def test_webhook_of_wrong_path_has_no_payload(fal: Fal, receiver: Receiver) -> None:
    await fal.http.post(f"{APP}/xyz", json={"prompt": QUICK}, params={"fal_webhook": receiver.url})
    (delivery,) = await receiver.expect()
    assert (delivery.body["status"], delivery.body["payload"]) == ("ERROR", None)
    assert delivery.body["payload_error"]


async def test_webhook_after_non_2xx_is_repeated_unchanged(fal: Fal, receiver: Receiver) -> None:
    receiver.answers = [500, 404, 429]
    await fal.submit(webhook=receiver.url)
    deliveries = await receiver.expect(4)
    assert len({delivery.raw for delivery in deliveries}) == 1


async def test_webhook_after_lost_connection_is_repeated(fal: Fal, receiver: Receiver) -> None:
    receiver.hang_ups = 2
    await fal.submit(webhook=receiver.url)
    await receiver.expect(3)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/hook", "no url at all", ""])
async def test_unreachable_webhook_does_not_affect_job(fal: Fal, url: str) -> None:
    assert (await fal.outcome(webhook=url)).status_code == 200


@pytest.mark.parametrize("code", [204, 307])
async def test_webhook_ends_with_2xx_or_redirect(fal: Fal, receiver: Receiver, code: int) -> None:
    receiver.answers = [code]
    await fal.submit(webhook=receiver.url)
    await receiver.expect()
    await asyncio.sleep(0.2)  # the next attempts would be due after 1, 2, 4 ... ms
    assert len(receiver.deliveries) == 1


async def test_webhook_burst_is_delivered_completely(fal: Fal, receiver: Receiver) -> None:
    submitted = await asyncio.gather(*(fal.submit(webhook=receiver.url) for _ in range(100)))
    deliveries = await receiver.expect(100)
    assert {delivery.body["request_id"] for delivery in deliveries} == set(submitted)
