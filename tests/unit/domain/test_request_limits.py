"""Limits of a deployment, a model and a tenant on creates, and the texts of their faults."""

import json
from typing import Any

import pytest
from pydantic import TypeAdapter

from service.domain.models.loader import packaged
from service.domain.models.requests import request_class
from service.domain.request import CreateGeneration
from service.domain.request_limits import RequestLimits, parse_create, parse_fields
from service.errors import FieldError, Invalid
from tests.support.factories import create_body

EVERYTHING = RequestLimits(4000, ("480p", "720p", "1080p", "4k"), ("standard", "high"))


def parse(body: Any, limits: RequestLimits) -> CreateGeneration:
    return parse_create(json.dumps(body).encode(), limits)


def faults(body: Any, limits: RequestLimits) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as raised:
        parse(body, limits)
    return [(fault.pointer, fault.type) for fault in raised.value.errors]


def test_resolution_not_offered_is_refused() -> None:
    assert faults(create_body(resolution="4k"), RequestLimits()) == [("/resolution", "literal_error")]
    assert parse(create_body(resolution="4k"), EVERYTHING).resolution == "4k"


def test_bitrate_not_offered_is_an_unknown_field() -> None:
    body = create_body(bitrate_mode="high")

    assert faults(body, RequestLimits()) == [("/bitrate_mode", "extra_forbidden")]
    assert faults(body, RequestLimits(bitrate_modes=("standard",))) == [("/bitrate_mode", "literal_error")]
    assert parse(body, EVERYTHING).bitrate_mode == "high"


def test_prompt_limit_counts_characters() -> None:
    limits = RequestLimits(prompt_characters=5)

    assert parse(create_body(prompt="🐈" * 5), limits).prompt == "🐈" * 5
    assert faults(create_body(prompt="🐈" * 6), limits) == [("/prompt", "string_too_long")]


def test_deployment_limits_are_reported_together() -> None:
    body = create_body(prompt="x" * 9, resolution="4k", bitrate_mode="high")

    assert [pointer for pointer, _ in faults(body, RequestLimits(prompt_characters=8))] == [
        "/prompt",
        "/resolution",
        "/bitrate_mode",
    ]


@pytest.mark.parametrize(
    ("field", "limits", "expected"),
    [
        ("resolution", RequestLimits(), "must be '480p' or '720p'"),
        ("resolution", RequestLimits().for_tenant(("480p", "4k"), None), "must be '480p'"),
        ("resolution", RequestLimits().for_tenant(("4k",), None), "must be nothing"),
        ("duration", RequestLimits().for_tenant(None, ("4", "5")), "must be '4' or '5'"),
        ("bitrate_mode", RequestLimits(bitrate_modes=("high",)), "must be 'high'"),
        ("bitrate_mode", RequestLimits(), "unknown field"),
    ],
)
def test_fault_of_a_choice_names_what_is_accepted_here(field: str, limits: RequestLimits, expected: str) -> None:
    """One list for a field, whether the schema, the deployment or the tenant's limits refuse the value."""
    refused = {"resolution": ("8k", "1080p"), "duration": ("77",), "bitrate_mode": ("fastest", "standard")}[field]
    for value in refused:
        with pytest.raises(Invalid) as error:
            parse(create_body(**{field: value}), limits)
        (fault,) = error.value.errors
        assert (fault.pointer, fault.detail) == (f"/{field}", expected), value


def test_fault_of_a_named_model_has_its_name() -> None:
    model = packaged()["bytedance/seedance-2.0/mini/text-to-video"]
    limits = RequestLimits(prompt_characters=5).for_model(model, named=True)
    fault = FieldError("/prompt", "must not be blank", "string_blank")

    assert limits.of_model(fault) == FieldError("/prompt", f"must not be blank ({model.id})", "string_blank")
    assert limits.in_words(fault) == limits.of_model(fault)
    assert RequestLimits().of_model(fault) is fault
    with pytest.raises(Invalid) as raised:
        parse(create_body(prompt="123456"), limits)
    assert [error.detail for error in raised.value.errors] == [
        f"must have at most 5 characters, has 6 ({model.id})",
    ]


def test_limits_of_a_model_are_what_both_have() -> None:
    wide = RequestLimits(9, ("480p", "1080p", "4k"), ("high", "best"))
    mini, seed = (packaged()[f"bytedance/seedance-2.0/{name}text-to-video"] for name in ("mini/", ""))

    found = wide.for_model(mini, named=False)
    assert (found.resolutions, found.durations, found.bitrate_modes) == (("480p",), mini.durations, ())
    assert (found.prompt_characters, found.named_model, found.model) == (9, None, None)
    assert wide.for_model(seed, named=True).bitrate_modes == ("high",)
    assert wide.for_model(seed, named=True).named_model == seed.id


def test_limits_of_a_tenant_without_its_own_are_the_same() -> None:
    limits = RequestLimits()
    assert limits.for_tenant(None, None) is limits
    own = limits.for_tenant(("480p", "4k"), ("4", "auto", "60"))
    assert (own.values("resolution"), own.values("duration"), own.values("bitrate_mode")) == (
        ("480p",),
        ("auto", "4"),
        (),
    )


@pytest.mark.parametrize(
    ("values", "text"),
    [(("a",), "must be 'a'"), (("a", "b"), "must be 'a' or 'b'"), (("a", "b", "c"), "must be 'a', 'b' or 'c'")],
)
def test_choices_are_in_words(values: tuple[str, ...], text: str) -> None:
    assert RequestLimits(resolutions=values).choices("resolution") == text


def test_limits_of_a_model_with_rules_have_its_rules_and_seconds() -> None:
    model = packaged()["bytedance/seedance-2.5/reference-to-video"]
    found = RequestLimits().for_model(model, named=False)

    assert found.model is model
    assert found.durations == model.durations != RequestLimits().durations


def test_limits_of_a_tenant_may_be_of_one_field() -> None:
    by_seconds, by_resolution = RequestLimits().for_tenant(None, ("4",)), RequestLimits().for_tenant(("480p",), None)

    assert (by_seconds.values("duration"), by_seconds.values("resolution")) == (("4",), ("480p", "720p"))
    assert (by_resolution.values("duration"), by_resolution.values("resolution")) == (
        RequestLimits().durations,
        ("480p",),
    )


def test_faults_of_fields_and_of_rules_are_reported_together() -> None:
    model = packaged()["bytedance/seedance-2.5/reference-to-video"]
    body, limits = {"prompt": "@Image1", "duration": "99"}, RequestLimits().for_model(model, named=False)
    adapter: TypeAdapter[CreateGeneration] = TypeAdapter(request_class(model))

    with pytest.raises(Invalid) as of_bytes:
        parse_create(json.dumps(body).encode(), limits, adapter)
    with pytest.raises(Invalid) as of_fields:
        parse_fields(body, limits, adapter)

    assert [fault.pointer for fault in of_bytes.value.errors] == ["/duration", "/prompt"]
    assert of_fields.value.errors == of_bytes.value.errors
