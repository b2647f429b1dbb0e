"""Signatures that the official library accepts, byte for byte; deliveries and their attempts."""

import base64
import hashlib
import hmac
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from service.domain.signing import new_secret, signed_headers
from service.domain.webhook import DeliveryStatus
from tests.support import factories
from tests.support.factories import NOW

#: The example of the Standard Webhooks specification.
SPEC_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SPEC_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SPEC_BODY = b'{"test": 2432232314}'
SPEC_TIME = datetime.fromtimestamp(1614265330, UTC)
SPEC_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_signature_of_the_specification_example() -> None:
    assert signed_headers(SPEC_SECRET, SPEC_ID, SPEC_BODY, SPEC_TIME) == {
        "webhook-id": SPEC_ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": SPEC_SIGNATURE,
    }


def test_signature_equals_the_official_library() -> None:
    """The library replaces the time zone of the datetime that it signs with, so it gets UTC."""
    library = Webhook(SPEC_SECRET).sign(SPEC_ID, SPEC_TIME, SPEC_BODY.decode())

    assert library == signed_headers(SPEC_SECRET, SPEC_ID, SPEC_BODY, SPEC_TIME)["webhook-signature"]


@given(st.text(max_size=200))
def test_signature_is_accepted_by_the_official_library(text: str) -> None:
    secret, body = new_secret(), text.encode()

    headers = signed_headers(secret, "msg_1", body, datetime.now(UTC))

    Webhook(secret).verify(body, headers, json_parse=False)


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=9)), timezone(timedelta(hours=-7))])
def test_signature_ignores_the_time_zone(zone: timezone) -> None:
    """The time zone of the machine does not matter either: the timestamp is seconds since 1970."""
    headers = signed_headers(SPEC_SECRET, SPEC_ID, SPEC_BODY, SPEC_TIME.astimezone(zone))

    assert headers["webhook-signature"] == SPEC_SIGNATURE


@pytest.mark.parametrize("changed", ["body", "id", "timestamp", "secret", "late", "early"])
def test_signature_changed_is_refused_by_the_library(changed: str) -> None:
    secret, body, now = new_secret(), b'{"a":1}', datetime.now(UTC)
    now += {"late": timedelta(minutes=-6), "early": timedelta(minutes=6)}.get(changed, timedelta())
    headers = signed_headers(secret, "msg_1", body, now)
    if changed == "id":
        headers["webhook-id"] = "msg_2"
    if changed == "timestamp":
        headers["webhook-timestamp"] = str(int(time.time()) - 1)

    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret() if changed == "secret" else secret).verify(
            b'{"a":2}' if changed == "body" else body, headers
        )


@given(st.binary(max_size=200))
def test_signature_of_any_bytes(body: bytes) -> None:
    headers = signed_headers(SPEC_SECRET, "msg_1", body, NOW)

    key = base64.b64decode(SPEC_SECRET.removeprefix("whsec_"))
    message = b"msg_1." + str(int(NOW.timestamp())).encode() + b"." + body
    expected = base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


def test_secrets_are_of_the_standard_form_and_differ() -> None:
    secret = new_secret()

    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    assert secret != new_secret()


def test_delivery_is_attempted_until_delivered() -> None:
    fresh, later = factories.delivery(), NOW + timedelta(minutes=5)
    postponed = fresh.postponed(factories.attempt(), later)
    delivered = postponed.delivered(factories.attempt(status=204))

    assert (fresh.status, fresh.version, fresh.next_attempt_at) == (DeliveryStatus.PENDING, 0, None)
    assert (postponed.status, postponed.version, postponed.next_attempt_at) == (DeliveryStatus.PENDING, 1, later)
    assert (delivered.status, delivered.version, delivered.next_attempt_at) == (DeliveryStatus.DELIVERED, 2, None)
    assert [attempt.status for attempt in delivered.attempts] == [500, 204]
    assert (delivered.id, delivered.body, delivered.url) == (fresh.id, fresh.body, fresh.url)


def test_delivery_dead_has_no_next_attempt() -> None:
    dead = factories.delivery(next_attempt_at=NOW).dead(factories.attempt(status=410))

    assert (dead.status, dead.next_attempt_at) == (DeliveryStatus.DEAD, None)
