"""Signatures of callbacks: the contract's vector, every error, and a slow, unavailable or hostile key server."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sandbox.signing import Signer
from service.upstream import callback_verification
from service.upstream.callback_verification import BETWEEN_FETCHES, CACHED_FOR, Verdict, Verifier, public_keys
from tests.support.factories import NOWHERE
from tests.support.key_server import KeyServer, served

#: The vector of fal's contract: a synthetic key over a body of 149 bytes.
REQUEST_ID = "764cabcf-b745-4b3e-ae38-1200304cf45b"
X = "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"
SIGNED_AT = datetime.fromtimestamp(1_700_000_000, UTC)
BODY = (
    f'{{"request_id":"{REQUEST_ID}","gateway_request_id":"{REQUEST_ID}","status":"OK","payload":{{"seed":42}}}}'
).encode()
HEADERS = {
    "x-fal-webhook-request-id": REQUEST_ID,
    "x-fal-webhook-user-id": "user-1",
    "x-fal-webhook-timestamp": "1700000000",
    "x-fal-webhook-signature": (
        "a764742c7d9c7f78bf2463af8869606b785b54ea76ade57949b14dac349e9d7f"
        "648e853f0a85ba2611450efaf30f8f0e255a350dfd4285d6c5f562f196a5480e"
    ),
}
KEY = {"kty": "OKP", "crv": "Ed25519", "x": X, "use": "sig", "alg": "EdDSA"}
SECOND = timedelta(seconds=1)


@pytest.fixture
async def fal() -> AsyncIterator[KeyServer]:
    async with served(KeyServer([KEY])) as server:
        yield server


@pytest.fixture
async def verifier(fal: KeyServer) -> AsyncIterator[Verifier]:
    async with Verifier(rest_url=fal.url) as opened:
        yield opened


def changed(**changes: str) -> dict[str, str]:
    """Return the vector's headers with these replaced."""
    return {**HEADERS, **{f"x-fal-webhook-{name.replace('_', '-')}": value for name, value in changes.items()}}


def signed(signer: Signer, body: bytes = BODY, at: datetime = SIGNED_AT) -> dict[str, str]:
    headers = signer.headers(REQUEST_ID, int(at.timestamp()), body)
    return {name.lower(): value for name, value in headers.items()}


async def test_callback_contract_vector_is_authentic(verifier: Verifier) -> None:
    assert await verifier.verify(HEADERS, BODY, SIGNED_AT) == "authentic"


SIGNATURE = HEADERS["x-fal-webhook-signature"]
WRONG: list[tuple[Mapping[str, str], bytes, Verdict]] = [
    # one signed part is changed
    (HEADERS, BODY + b" ", "signature"),
    (HEADERS, BODY.replace(b"42", b"43"), "signature"),
    (HEADERS, b"", "signature"),
    (changed(request_id=REQUEST_ID.upper()), BODY, "signature"),
    (changed(user_id="user-2"), BODY, "signature"),
    (changed(timestamp="1700000001"), BODY, "signature"),
    (changed(timestamp="01700000000"), BODY, "signature"),
    (changed(signature=SIGNATURE[:-2] + "0f"), BODY, "signature"),
    (changed(signature="0" * 128), BODY, "signature"),
    # no signature
    ({}, BODY, "malformed"),
    *(
        ({name: value for name, value in HEADERS.items() if name != left_out}, BODY, "malformed")
        for left_out in HEADERS
    ),
    *((changed(**{name: ""}), BODY, "malformed") for name in ("request_id", "user_id", "timestamp", "signature")),
    (changed(signature=SIGNATURE[:-1]), BODY, "malformed"),
    (changed(signature=SIGNATURE + "00"), BODY, "malformed"),
    (changed(signature=SIGNATURE[:-1] + "g"), BODY, "malformed"),
    (changed(signature=" " + SIGNATURE), BODY, "malformed"),
    (changed(signature=base64.b64encode(bytes.fromhex(SIGNATURE)).decode()), BODY, "malformed"),
    (changed(timestamp="soon"), BODY, "malformed"),
    (changed(timestamp="-1700000000"), BODY, "malformed"),
    (changed(timestamp="1700000000.0"), BODY, "malformed"),
    (changed(timestamp="1e9"), BODY, "malformed"),
    (changed(timestamp="\u00b2"), BODY, "malformed"),
    (changed(timestamp="9" * 5000), BODY, "malformed"),
    (changed(user_id="x" * 257), BODY, "malformed"),
    (changed(user_id="us\u00e9r"), BODY, "malformed"),
    (changed(request_id="a b"), BODY, "malformed"),
    (changed(request_id="a\nb"), BODY, "malformed"),
]


@pytest.mark.parametrize(("headers", "body", "verdict"), WRONG)
async def test_callback_changed_part_is_not_authentic(
    verifier: Verifier, headers: Mapping[str, str], body: bytes, verdict: Verdict
) -> None:
    assert await verifier.verify(headers, body, SIGNED_AT) == verdict


@pytest.mark.parametrize("form", [str.upper, str.lower])
async def test_callback_signature_hex_of_either_case(verifier: Verifier, form: Callable[[str], str]) -> None:
    assert await verifier.verify(changed(signature=form(SIGNATURE)), BODY, SIGNED_AT) == "authentic"


@pytest.mark.parametrize(
    ("late", "verdict"),
    [(-301, "timestamp"), (-300, "authentic"), (0, "authentic"), (300, "authentic"), (301, "timestamp")],
)
async def test_callback_timestamp_tolerance_is_five_minutes(verifier: Verifier, late: int, verdict: Verdict) -> None:
    assert await verifier.verify(HEADERS, BODY, SIGNED_AT + late * SECOND) == verdict


async def test_callback_malformed_fetches_no_keys(fal: KeyServer, verifier: Verifier) -> None:
    await verifier.verify({}, BODY, SIGNED_AT)
    await verifier.verify(HEADERS, BODY, SIGNED_AT + timedelta(days=1))
    assert fal.requests == 0


# --- keys -------------------------------------------------------------------------------------------------------------

NO_KEYS = [
    None,
    "text",
    5,
    {},
    {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
    {**KEY, "kty": "EC"},
    {**KEY, "crv": "X25519"},
    {**KEY, "x": None},
    {**KEY, "x": ""},
    {**KEY, "x": "A6EH"},
    {**KEY, "x": X + "AAAA"},
    {**KEY, "x": X[:-1] + "!"},
    {**KEY, "x": X[:-1] + "\u00e9"},
]


@pytest.mark.parametrize("entry", NO_KEYS, ids=repr)
async def test_key_set_ignores_unusable_keys(fal: KeyServer, verifier: Verifier, entry: Any) -> None:
    fal.keys = [entry, KEY, entry]
    assert await verifier.verify(HEADERS, BODY, SIGNED_AT) == "authentic"


@pytest.mark.parametrize("x", [X, X + "=", X + "=="])
def test_key_set_accepts_padded_and_unpadded_keys(x: str) -> None:
    (key,) = public_keys({"keys": [{**KEY, "x": x}]})
    assert (
        key.public_bytes_raw() == Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key().public_bytes_raw()
    )


@pytest.mark.parametrize("document", [None, [], {}, "keys", {"keys": None}, {"keys": {"x": X}}, {"keys": []}])
def test_key_set_any_document_never_raises(document: Any) -> None:
    assert public_keys(document) == ()


async def test_callback_is_checked_with_every_key(fal: KeyServer, verifier: Verifier) -> None:
    signers = [Signer.unpublished() for _ in range(4)]
    fal.keys = [signer.jwk for signer in signers]
    for signer in signers:
        assert await verifier.verify(signed(signer), BODY, SIGNED_AT) == "authentic"
    assert await verifier.verify(signed(Signer.unpublished()), BODY, SIGNED_AT) == "signature"


async def test_key_set_is_fetched_once_a_day(fal: KeyServer, verifier: Verifier) -> None:
    for _ in range(3):
        assert await verifier.verify(HEADERS, BODY, SIGNED_AT) == "authentic"
    assert fal.requests == 1
    signer = Signer.from_seed(bytes(range(32)))
    last = SIGNED_AT + CACHED_FOR - SECOND
    assert await verifier.verify(signed(signer, at=last), BODY, last) == "authentic"
    assert fal.requests == 1
    assert await verifier.verify(signed(signer, at=last + SECOND), BODY, last + SECOND) == "authentic"
    assert fal.requests == 2


async def test_key_set_is_fetched_for_unknown_key(fal: KeyServer, verifier: Verifier) -> None:
    await verifier.verify(HEADERS, BODY, SIGNED_AT)
    new = Signer.unpublished()
    fal.keys = [new.jwk]
    later = SIGNED_AT + BETWEEN_FETCHES
    assert await verifier.verify(signed(new), BODY, later) == "authentic"
    assert await verifier.verify(HEADERS, BODY, later) == "signature", "the old key is removed"


async def test_forged_callbacks_fetch_keys_twice_a_minute(fal: KeyServer, verifier: Verifier) -> None:
    forged = signed(Signer.unpublished())
    await verifier.verify(HEADERS, BODY, SIGNED_AT)
    for second in range(60):
        at = SIGNED_AT + second * SECOND
        verdicts = await asyncio.gather(*(verifier.verify(forged, BODY, at) for _ in range(5)))
        assert set(verdicts) == {"signature"}
        assert await verifier.verify(HEADERS, BODY, at) == "authentic"
    assert fal.requests == 2


async def test_concurrent_callbacks_share_one_key_fetch(fal: KeyServer, verifier: Verifier) -> None:
    fal.may_answer.clear()
    waiting = [asyncio.create_task(verifier.verify(HEADERS, BODY, SIGNED_AT)) for _ in range(50)]
    async with asyncio.timeout(30):
        await fal.requested.wait()
    waiting[0].cancel()
    fal.may_answer.set()
    verdicts = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(verdicts[0], asyncio.CancelledError)
    assert set(verdicts[1:]) == {"authentic"}, "although the caller that started the fetch was canceled"
    assert fal.requests == 1


BROKEN: dict[str, Callable[[], web.Response]] = {
    "an error": lambda: web.Response(status=503),
    "a redirect": lambda: web.Response(status=302, headers={"location": "https://example.com"}),
    "no JSON": lambda: web.Response(text="<html>"),
    "no keys": lambda: web.json_response({"keys": []}),
    "no document": lambda: web.json_response([KEY]),
    "too much": lambda: web.Response(text=json.dumps({"keys": [KEY], "x": "x" * 70_000})),
}


@pytest.mark.parametrize("how", BROKEN)
async def test_callback_without_keys_is_unverifiable(fal: KeyServer, verifier: Verifier, how: str) -> None:
    fal.answer = BROKEN[how]()
    assert await verifier.verify(HEADERS, BODY, SIGNED_AT) == "keys_unavailable"
    assert await verifier.verify(HEADERS, BODY, SIGNED_AT + SECOND) == "keys_unavailable"
    assert fal.requests == 1
    fal.answer = None
    assert await verifier.verify(HEADERS, BODY, SIGNED_AT + BETWEEN_FETCHES) == "authentic"


@pytest.mark.parametrize("how", BROKEN)
async def test_key_set_stale_is_used_for_a_day(fal: KeyServer, verifier: Verifier, how: str) -> None:
    signer = Signer.from_seed(bytes(range(32)))
    await verifier.verify(HEADERS, BODY, SIGNED_AT)
    fal.answer = BROKEN[how]()
    last = SIGNED_AT + CACHED_FOR - SECOND
    assert await verifier.verify(signed(Signer.unpublished(), at=last), BODY, last) == "signature"
    assert fal.requests == 2
    assert await verifier.verify(signed(signer, at=last), BODY, last) == "authentic"
    after = last + BETWEEN_FETCHES
    assert await verifier.verify(signed(signer, at=after), BODY, after) == "keys_unavailable"


async def test_key_server_hanging_times_out(fal: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callback_verification, "_FETCH_SECONDS", 0.05)
    fal.may_answer.clear()
    async with asyncio.timeout(30), Verifier(rest_url=fal.url) as verifier:
        assert await verifier.verify(HEADERS, BODY, SIGNED_AT) == "keys_unavailable"


async def test_key_server_unavailable() -> None:
    async with asyncio.timeout(30), Verifier(rest_url=NOWHERE) as verifier:
        assert await verifier.verify(HEADERS, BODY, SIGNED_AT) == "keys_unavailable"


async def test_close_cancels_key_fetch(fal: KeyServer) -> None:
    fal.may_answer.clear()
    async with Verifier(rest_url=fal.url) as verifier:
        waiting = asyncio.create_task(verifier.verify(HEADERS, BODY, SIGNED_AT))
        async with asyncio.timeout(30):
            await fal.requested.wait()
    assert isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], asyncio.CancelledError)
