"""Callbacks with OpenRouter's signature, verified as its documentation describes."""

import hashlib
import hmac

from service.domain.signing import SigningKey, new_secret
from service.webhooks.openrouter_signing import openrouter_headers
from tests.support.factories import NOW

BODY = b'{"type":"video.generation.completed"}'


def verify(header: str, body: bytes, secret: str) -> bool:
    """Verify as OpenRouter's documentation does: the first ``v1`` of ``t=...,v1=...``."""
    parts = [part.split("=", 1) for part in header.split(",")]
    timestamp = next(value for name, value in parts if name == "t")
    given = next(value for name, value in parts if name == "v1")
    expected = hmac.new(secret.encode(), f"{timestamp},{body.decode()}".encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(given, expected) and timestamp == str(int(NOW.timestamp()))


def test_signature_verifies_with_the_secret_as_text() -> None:
    secret = new_secret()
    headers = openrouter_headers([SigningKey(secret)], "whd_1", BODY, NOW)
    assert verify(headers["x-openrouter-signature"], BODY, secret)
    assert headers["x-openrouter-idempotency-key"] == "whd_1"
    assert not verify(headers["x-openrouter-signature"], BODY + b" ", secret)
    assert not verify(headers["x-openrouter-signature"], BODY, new_secret())


def test_signature_during_rotation_has_the_current_key_first() -> None:
    current, former = new_secret(), new_secret()
    header = openrouter_headers([SigningKey(current), SigningKey(former)], "whd_1", BODY, NOW)["x-openrouter-signature"]
    assert verify(header, BODY, current)
    timestamp, _, second = header.split(",")
    assert verify(f"{timestamp},{second}", BODY, former)
