"""Webhook endpoints: their keys, their state, the stages of their failures, and their form in the API."""

from dataclasses import replace
from datetime import timedelta

import pytest

from service.domain.signing import PRIVATE_PREFIX, SigningKey
from service.domain.webhook import EventType
from service.domain.webhook_endpoint import Disabled, Endpoint, Health
from service.domain.webhook_endpoint_view import FailingView, event, public
from tests.support.factories import NOW

HOUR = timedelta(hours=1)
RETIRED = SigningKey("retired", until=NOW + HOUR)
ENDPOINT = Endpoint(
    id="whe_1",
    tenant_id="ten_1",
    url="https://example.com/hook",
    keys=(SigningKey("current"), RETIRED),
    created_at=NOW,
    description="orders",
    events=(EventType.SUCCEEDED, EventType.FAILED),
    headers={"x-b": "secret", "x-a": "secret"},
    version=3,
)
FAILING: FailingView = {"since": "2026-01-30T09:30:00.000Z", "attempts": 12, "percent": 50}


def test_endpoint_wants_the_events_that_it_names() -> None:
    assert [kind for kind in EventType if ENDPOINT.wants(kind)] == list(ENDPOINT.events)


def test_endpoint_signs_with_keys_until_their_overlap_ends() -> None:
    assert ENDPOINT.signing(NOW) == ENDPOINT.keys
    assert ENDPOINT.signing(NOW + HOUR) == ENDPOINT.keys[:1]


def test_endpoint_rotation_changes_its_keys_only() -> None:
    successor = SigningKey("successor")

    after = ENDPOINT.rotated(successor, overlap=2 * HOUR, now=NOW)

    assert after == replace(ENDPOINT, keys=(successor, SigningKey("current", until=NOW + 2 * HOUR), RETIRED))
    assert ENDPOINT.rotated(successor, overlap=2 * HOUR, now=NOW + HOUR).keys[1:] == (
        SigningKey("current", until=NOW + 3 * HOUR),
    )


def test_endpoint_ed25519_on_keeps_the_secrets() -> None:
    after = ENDPOINT.with_ed25519(wanted=True)

    private = after.keys[0].private
    assert after.ed25519
    assert not ENDPOINT.ed25519
    assert private is not None
    assert private.startswith(PRIVATE_PREFIX)
    assert after == replace(ENDPOINT, keys=(SigningKey("current", private), RETIRED))
    assert after.with_ed25519(wanted=True) is after, "the public key stays"


def test_endpoint_ed25519_off_and_on_makes_another_key() -> None:
    first = ENDPOINT.with_ed25519(wanted=True)

    assert first.with_ed25519(wanted=False) == ENDPOINT
    assert first.with_ed25519(wanted=False).with_ed25519(wanted=True).keys[0] != first.keys[0]


def test_endpoint_disabled_keeps_its_first_reason() -> None:
    disabled = ENDPOINT.disabled_for("gone", NOW)

    assert disabled == replace(ENDPOINT, disabled=Disabled("gone", NOW))
    assert disabled.disabled_for("requested", NOW + HOUR) is disabled
    assert disabled.enabled() == ENDPOINT


@pytest.mark.parametrize(
    ("percent", "warned", "stage"),
    [
        (0, 0, None),
        (49, 0, None),
        (50, 0, 50),
        (69, 0, 50),
        (69, 50, None),
        (70, 50, 70),
        (95, 50, 90),
        (95, 90, None),
        (100, 90, 100),
        (250, 0, 100),
        (250, 100, None),
    ],
)
def test_health_stage_is_announced_once(percent: int, warned: int, stage: int | None) -> None:
    assert Health(NOW, percent, warned).stage() == stage


def test_endpoint_view_has_no_secret() -> None:
    assert public(ENDPOINT) == {
        "id": "whe_1",
        "object": "webhook_endpoint",
        "url": "https://example.com/hook",
        "description": "orders",
        "events": ["generation.succeeded", "generation.failed"],
        "headers": ["x-a", "x-b"],
        "ed25519": False,
        "enabled": True,
        "disabled": None,
        "failing": None,
        "created_at": "2026-01-31T09:30:00.000Z",
    }


def test_endpoint_view_names_reason_and_failures() -> None:
    view = public(ENDPOINT.disabled_for("failing", NOW + HOUR), FAILING)

    assert (view["enabled"], view["failing"]) == (False, FAILING)
    assert view["disabled"] == {"reason": "failing", "at": "2026-01-31T10:30:00.000Z"}


def test_endpoint_event_has_type_time_and_endpoint() -> None:
    assert event(EventType.FAILING, ENDPOINT, NOW + HOUR, FAILING) == {
        "type": "endpoint.failing",
        "timestamp": "2026-01-31T10:30:00.000Z",
        "data": public(ENDPOINT, FAILING),
    }
