"""Signatures that the official library accepts, byte for byte; deliveries and their attempts."""

import base64
import hashlib
import hmac
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from service.domain.signing import new_secret, signed_headers
from service.domain.webhook import ATTEMPTS_KEPT, DeliveryFilter, DeliveryStatus, without_credentials
from tests.support import factories
from tests.support.factories import NOW

MILLISECOND = timedelta(milliseconds=1)
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
    assert dead.attempts == (factories.attempt(status=410),)


def test_delivery_dead_lettered_has_no_next_attempt() -> None:
    waiting = factories.delivery(next_attempt_at=NOW, version=3)

    assert waiting.dead_lettered() == replace(waiting, status=DeliveryStatus.DEAD, next_attempt_at=None, version=4)


def test_delivery_replayed_starts_the_schedule_again() -> None:
    dead = factories.delivery().postponed(factories.attempt(), NOW).dead(factories.attempt())
    assert (dead.attempts_in_round, dead.total_attempts) == (2, 2)

    again = dead.replayed(NOW)

    assert again == replace(
        dead, status=DeliveryStatus.PENDING, attempts_in_round=0, next_attempt_at=NOW, version=dead.version + 1
    )
    once_more = again.postponed(factories.attempt(), NOW)
    assert (once_more.attempts_in_round, once_more.total_attempts) == (1, 3)


def test_delivery_keeps_its_newest_attempts() -> None:
    delivery = factories.delivery()
    for status in range(ATTEMPTS_KEPT + 2):
        delivery = delivery.postponed(factories.attempt(status=status), NOW)

    assert [attempt.status for attempt in delivery.attempts] == list(range(2, ATTEMPTS_KEPT + 2))
    assert delivery.total_attempts == ATTEMPTS_KEPT + 2


@pytest.mark.parametrize("name", ["tenant_id", "status", "endpoint_id", "generation_id", "event"])
def test_delivery_filter_compares_each_field(name: str) -> None:
    own: dict[str, Any] = {
        "tenant_id": "ten_1",
        "status": DeliveryStatus.DEAD,
        "endpoint_id": "whe_1",
        "generation_id": "gen_1",
        "event": "generation.failed",
    }
    other = {**own, name: DeliveryStatus.PENDING if name == "status" else "other"}

    assert DeliveryFilter().takes(factories.delivery(**own))
    assert DeliveryFilter(**own).takes(factories.delivery(**own))
    assert not DeliveryFilter(**own).takes(factories.delivery(**other))
    assert DeliveryFilter(**{**own, name: None}).takes(factories.delivery(**other))


@pytest.mark.parametrize(
    ("name", "bound", "matches"),
    [
        ("created_after", NOW - MILLISECOND, True),
        ("created_after", NOW, False),
        ("created_after", NOW + MILLISECOND, False),
        ("created_before", NOW + MILLISECOND, True),
        ("created_before", NOW + MILLISECOND / 2, False),  # the same millisecond
        ("created_before", NOW, False),
        ("status", DeliveryStatus.PENDING, True),
        ("status", DeliveryStatus.DEAD, False),
    ],
)
def test_delivery_filter_has_exclusive_bounds(name: str, bound: Any, matches: bool) -> None:
    both: dict[str, Any] = {"created_after": NOW - MILLISECOND, "created_before": NOW + MILLISECOND, name: bound}

    assert DeliveryFilter(**both).matches(factories.delivery()) is matches
    assert DeliveryFilter(**{name: bound}).matches(factories.delivery()) is matches


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@example.com:8443/hook?token=secret#secret", "https://example.com:8443/hook"),
        ("https://a@b@example.com/hook", "https://example.com/hook"),
        ("http://example.com", "http://example.com"),
    ],
)
def test_url_is_shown_without_credentials(url: str, shown: str) -> None:
    assert without_credentials(url) == shown


def test_endpoint_queue_is_of_the_endpoint_or_the_origin() -> None:
    def queue(url: str, **changes: Any) -> str:
        return factories.delivery(tenant_id="ten_1", url=url, **changes).endpoint_queue

    one = queue("https://example.com/hook")
    assert one == f"ten_1:{hashlib.sha256(b'https://example.com').hexdigest()[:16]}"
    for same in (
        "https://EXAMPLE.com/other/path",
        "https://example.com/a?next=http://b.example/",
        "https://example.com?a=/",
        "https://example.com",
        "HTTPS://example.com/?",
    ):
        assert queue(same) == one
    for other in ("http://example.com/hook", "https://example.com:8443/hook", "https://a.example.com/hook"):
        assert queue(other) != one
    assert queue("", endpoint_id="whe_1") == "ten_1:whe_1"
