"""Signatures that receivers' own libraries accept, byte for byte; deliveries and their attempts."""

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


def test_the_specifications_example() -> None:
    assert signed_headers(SPEC_SECRET, SPEC_ID, SPEC_BODY, SPEC_TIME) == {
        "webhook-id": SPEC_ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": SPEC_SIGNATURE,
    }


def test_the_public_library_signs_the_same() -> None:
    """It replaces the timezone of the moment it is given: only UTC goes in."""
    library = Webhook(SPEC_SECRET).sign(SPEC_ID, SPEC_TIME, SPEC_BODY.decode())

    assert library == signed_headers(SPEC_SECRET, SPEC_ID, SPEC_BODY, SPEC_TIME)["webhook-signature"]


@given(st.text(max_size=200))
def test_the_public_library_accepts_what_we_sign(text: str) -> None:
    secret, body = new_secret(), text.encode()

    headers = signed_headers(secret, "msg_1", body, datetime.now(UTC))

    Webhook(secret).verify(body, headers, json_parse=False)


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=9)), timezone(timedelta(hours=-7))])
def test_the_moment_counts_and_not_its_zone(zone: timezone) -> None:
    """And so does the machine's: the timestamp is seconds since 1970 wherever one stands."""
    headers = signed_headers(SPEC_SECRET, SPEC_ID, SPEC_BODY, SPEC_TIME.astimezone(zone))

    assert headers["webhook-signature"] == SPEC_SIGNATURE


@pytest.mark.parametrize("changed", ["body", "id", "timestamp", "secret", "late", "early"])
def test_the_public_library_refuses_everything_else(changed: str) -> None:
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
def test_any_bytes_can_be_signed(body: bytes) -> None:
    headers = signed_headers(SPEC_SECRET, "msg_1", body, NOW)

    key = base64.b64decode(SPEC_SECRET.removeprefix("whsec_"))
    message = b"msg_1." + str(int(NOW.timestamp())).encode() + b"." + body
    expected = base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


def test_secrets_are_of_the_standards_form_and_differ() -> None:
    secret = new_secret()

    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    assert secret != new_secret()


def test_a_delivery_is_attempted_until_it_is_done() -> None:
    fresh, later = factories.delivery(), NOW + timedelta(minutes=5)
    postponed = fresh.postponed(factories.attempt(), later)
    delivered = postponed.delivered(factories.attempt(status=204))

    assert (fresh.status, fresh.version, fresh.next_attempt_at) == (DeliveryStatus.PENDING, 0, None)
    assert (postponed.status, postponed.version, postponed.next_attempt_at) == (DeliveryStatus.PENDING, 1, later)
    assert (delivered.status, delivered.version, delivered.next_attempt_at) == (DeliveryStatus.DELIVERED, 2, None)
    assert [attempt.status for attempt in delivered.attempts] == [500, 204]
    assert (delivered.id, delivered.body, delivered.url) == (fresh.id, fresh.body, fresh.url)


def test_a_dead_delivery_waits_for_nothing() -> None:
    dead = factories.delivery(next_attempt_at=NOW).dead(factories.attempt(status=410))

    assert (dead.status, dead.next_attempt_at) == (DeliveryStatus.DEAD, None)
