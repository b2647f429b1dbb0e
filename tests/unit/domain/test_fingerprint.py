"""Fingerprints of create bodies: what makes two bodies the same, and values that no release may change."""

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic_core import to_json

from service.domain.request import CreateGeneration
from service.domain.request_limits import RequestLimits, parse_create
from tests.support.factories import FULL_BODY as FULL
from tests.support.factories import create_request

LIMITS = RequestLimits(4000, ("480p", "720p", "1080p", "4k"), ("standard", "high"))
MINIMAL: dict[str, Any] = {"prompt": "a cat", "image_url": "https://example.com/a.png"}
METADATA: dict[str, Any] = {**MINIMAL, "prompt": 'un café, "chaud" \u2028 ☕', "metadata": {"order": "7", "a/b": "ä"}}
DATA_URI: dict[str, Any] = {"prompt": "a cat", "image_url": "data:image/png;base64,iVBORw0KGgo="}
OTHER: dict[str, Any] = {
    "prompt": "a dog",
    "image_url": "https://example.com/c.png",
    "end_image_url": None,
    "resolution": "720p",
    "duration": "6",
    "aspect_ratio": "9:16",
    "generate_audio": True,
    "seed": 0,
    "bitrate_mode": "standard",
    "end_user_id": "customer-8",
    "webhook_url": None,
    "metadata": {"a": "1", "b": "3"},
    "priority": 4,
    "max_cost_usd": "2.51",
    "expires_in": 601,
}
#: A stored fingerprint is compared with the one of a repeated create, perhaps by a later release. These values change
#: only with the version before the colon.
STORED: dict[str, tuple[dict[str, Any], str]] = {
    "minimal": (MINIMAL, "1:3263b665d836d82ad98cb6480dde8a42c323b2c4b9c6702a7bdbb0fc1a7fe6f6"),
    "metadata": (METADATA, "1:fe6191b5574567f5a1f1c0efba3f165419ad9c404ede7a7d2d9b4445daa371ed"),
    "data_uri": (DATA_URI, "1:804f9a071e60c6d96c147da316df1dea741c46ba4c032c09aaf302946605147d"),
    "full": (FULL, "1:de73c973315074b6b596345bf2f985e408c6eb9e0100802c541674a72c2b074d"),
}


class NextRelease(CreateGeneration):
    """The create body of a release that knows three more fields."""

    style: str | None = None
    upscale: bool = False
    tags: list[str] = []  # noqa: RUF012 (pydantic copies it)


def fingerprint(body: dict[str, Any]) -> str:
    return parse_create(to_json(body), LIMITS).fingerprint()


@pytest.mark.parametrize("name", STORED)
def test_fingerprint_of_a_stored_body_is_unchanged(name: str) -> None:
    body, stored = STORED[name]

    assert fingerprint(body) == stored


@pytest.mark.parametrize("name", STORED)
def test_fingerprint_with_new_optional_fields_is_unchanged(name: str) -> None:
    body, stored = STORED[name]

    assert NextRelease.model_validate(body).fingerprint() == stored
    assert NextRelease.model_validate({**body, "style": None, "upscale": False, "tags": []}).fingerprint() == stored


@pytest.mark.parametrize("change", [{"style": "noir"}, {"upscale": True}, {"tags": ["a"]}])
def test_fingerprint_with_a_new_field_set_differs(change: dict[str, Any]) -> None:
    assert NextRelease.model_validate({**MINIMAL, **change}).fingerprint() != fingerprint(MINIMAL)


def test_fingerprint_has_no_space() -> None:
    """The store writes it after the id and a space."""
    assert not any(character.isspace() for character in fingerprint(FULL))


def test_fingerprint_does_not_contain_the_prompt() -> None:
    assert FULL["prompt"] not in fingerprint(FULL)


@given(st.integers(4, 15))
def test_fingerprint_of_a_duration_ignores_its_json_type(seconds: int) -> None:
    number, text = create_request(duration=seconds), create_request(duration=str(seconds))

    assert number == text
    assert number.fingerprint() == text.fingerprint()


@given(st.permutations([("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]))
def test_fingerprint_ignores_the_order_of_metadata(pairs: list[tuple[str, str]]) -> None:
    expected = create_request(metadata={"a": "1", "b": "2", "c": "3", "d": "4"}).fingerprint()

    assert create_request(metadata=dict(pairs)).fingerprint() == expected


@given(st.permutations(list(FULL)))
def test_fingerprint_ignores_the_order_of_fields(names: list[str]) -> None:
    assert fingerprint({name: FULL[name] for name in names}) == fingerprint(FULL)


def test_fingerprint_ignores_explicit_defaults() -> None:
    explicit = create_request(
        end_image_url=None,
        resolution="720p",
        duration="auto",
        aspect_ratio="auto",
        generate_audio=True,
        seed=None,
        bitrate_mode=None,
        end_user_id=None,
        webhook_url=None,
        metadata={},
        priority=0,
        max_cost_usd=None,
        expires_in=None,
    )

    assert explicit.fingerprint() == create_request().fingerprint()


def test_fingerprint_ignores_the_notation_of_money() -> None:
    assert create_request(max_cost_usd="1.5").fingerprint() == create_request(max_cost_usd=1.50).fingerprint()


def test_fingerprint_cases_cover_every_field() -> None:
    assert set(OTHER) == set(FULL) == set(CreateGeneration.model_fields)


@pytest.mark.parametrize("field", sorted(OTHER))
def test_fingerprint_differs_with_any_field(field: str) -> None:
    assert fingerprint({**FULL, field: OTHER[field]}) != fingerprint(FULL)


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_fingerprint_differs_with_the_prompt(one: str, other: str) -> None:
    assume(one.strip() and other.strip() and one != other)

    assert create_request(prompt=one).fingerprint() != create_request(prompt=other).fingerprint()
