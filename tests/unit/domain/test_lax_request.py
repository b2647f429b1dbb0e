"""A create in fal's lax form becomes a strict one."""

import json
from codecs import BOM_UTF8
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from service.domain.lax_request import parse_lax_create
from service.domain.models import registry
from service.domain.models.forms import RequestForms
from service.domain.request import CreateGeneration
from service.domain.request_limits import RequestLimits, parse_create
from service.errors import GatewayError, Invalid
from tests.support.factories import FULL_BODY, create_body
from tests.support.lax_forms import LAX, LEFT_OUT

LIMITS = RequestLimits()


def parsed(limits: RequestLimits = LIMITS, **changes: Any) -> tuple[CreateGeneration, tuple[str, ...]]:
    lax = parse_lax_create(to_json(create_body(**changes)), limits)
    return lax.request, lax.ignored


@pytest.mark.parametrize(("field", "lax", "strict"), LAX, ids=str)
def test_lax_value_means_strict_value(field: str, lax: Any, strict: Any) -> None:
    expected = parse_create(to_json(create_body(**{field: ... if strict is None else strict})), LIMITS)
    request, ignored = parsed(**{field: lax})
    assert (request, ignored) == (expected, ())
    assert request.fingerprint() == expected.fingerprint()
    assert request.model_fields_set == expected.model_fields_set
    with pytest.raises(Invalid):
        parse_create(to_json(create_body(**{field: lax})), LIMITS)


@pytest.mark.parametrize(("field", "value"), LEFT_OUT, ids=str)
def test_lax_value_of_no_use_is_left_out(field: str, value: Any) -> None:
    request, ignored = parsed(**{field: value})
    assert (request, ignored) == (parsed()[0], (field,))
    assert request.fingerprint() == parsed()[0].fingerprint()
    with pytest.raises(Invalid):
        parse_create(to_json(create_body(**{field: value})), LIMITS)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", None),
        ("prompt", 5),
        ("prompt", " "),
        ("image_url", None),
        ("image_url", "ftp://a.example/b.png"),
        ("image_url", "https://ä.example/b.png"),
        ("image_url", "https://a.example/b\\c.png"),
        ("duration", 16),
        ("duration", "16s"),
        ("duration", 5.5),
        ("duration", "5m"),
        ("duration", True),
        ("duration", "1e1"),
        ("resolution", "8k"),
        ("resolution", 720),
        ("generate_audio", "perhaps"),
        ("generate_audio", 2),
        ("expires_in", "soon"),
        ("max_cost_usd", "cheap"),  # a limit of money is never left out
        ("max_cost_usd", 0),
        ("webhook_url", "http:"),
        ("end_user_id", "x" * 257),
    ],
    ids=str,
)
def test_lax_refuses_what_fal_or_the_gateway_must(field: str, value: Any) -> None:
    with pytest.raises(Invalid) as refused:
        parsed(**{field: value}, colour="red")
    assert [fault.pointer for fault in refused.value.errors] == [f"/{field}"]


def test_lax_bitrate_mode_is_checked_where_there_are_modes() -> None:
    limits = RequestLimits(bitrate_modes=("high",))
    assert parsed(limits, bitrate_mode="HIGH")[0].bitrate_mode == "high"
    assert parsed(limits, bitrate_mode="standard") == (parsed()[0], ("bitrate_mode",))
    with pytest.raises(Invalid):
        parsed(limits, bitrate_mode="best")


@pytest.mark.parametrize("body", [b"[]", b"5", b"null", b'"x"', b"{", b"", b"\xff", b"[" * 10_000])
def test_lax_body_must_be_an_object(body: bytes) -> None:
    with pytest.raises(GatewayError):
        parse_lax_create(body, LIMITS)


def test_lax_strict_body_is_unchanged() -> None:
    limits = RequestLimits(resolutions=("1080p",), bitrate_modes=("high",))
    lax = parse_lax_create(to_json(FULL_BODY), limits)
    assert (lax.request, lax.ignored) == (parse_create(to_json(FULL_BODY), limits), ())


@pytest.mark.parametrize("duration", ["5", 5.0])
def test_lax_body_may_have_a_byte_order_mark(duration: object) -> None:
    """Programs on Windows write one in front of a file."""
    body = BOM_UTF8 + to_json(create_body(duration=duration))

    assert parse_lax_create(body, LIMITS).request == parsed(duration="5")[0]


@pytest.mark.parametrize("field", ["seed", "priority"])
def test_lax_numbers_have_the_bounds_of_strict_ones(field: str) -> None:
    most = {"seed": 2**32 - 1, "priority": 9}[field]

    def read(number: int) -> tuple[CreateGeneration, tuple[str, ...]]:
        changes: dict[str, Any] = {field: str(number)}
        return parsed(**changes)

    assert [getattr(read(number)[0], field) for number in (0, 1, most)] == [0, 1, most]
    assert [read(number)[1] for number in (-1, most + 1)] == [(field,), (field,)]


def test_lax_metadata_has_as_many_pairs_as_any() -> None:
    pairs = {f"key{number:02}": number for number in range(16)}

    assert parsed(metadata=pairs)[0].metadata == {name: str(number) for name, number in pairs.items()}


def test_lax_fields_after_one_of_no_use_are_read() -> None:
    body = {"colour": "red", "end_image_url": None, "seed": -1, **create_body(duration=5.0)}
    lax = parse_lax_create(to_json(body), LIMITS)

    assert (lax.request, lax.ignored) == (parsed(duration="5")[0], ("colour", "seed"))


FORMS = RequestForms(registry.build(enabled=["*"]), LIMITS)


@pytest.mark.parametrize(
    ("model_id", "given", "field", "strict"),
    [
        ("bytedance/seedance-2.5/text-to-video", {"codec": " h264 "}, "codec", "H264"),
        ("bytedance/seedance-2.5/text-to-video", {"draft": "true"}, "draft", True),
        ("fal-ai/bytedance/seedance/v1.5/pro/text-to-video", {"camera_fixed": "yes"}, "camera_fixed", True),
        (
            "bytedance/seedance-2.5/reference-to-video",
            {"image_urls": [" https://a.example/a b.png "], "seed": "7"},
            "image_urls",
            ["https://a.example/a%20b.png"],
        ),
        ("bytedance/seedance-2.0/mini/image-to-video", {"image_url": "https://a.example/"}, "duration", "auto"),
    ],
)
def test_lax_fields_of_another_model_are_read(model_id: str, given: dict[str, Any], field: str, strict: Any) -> None:
    form = FORMS.of(FORMS.registry.enabled[model_id])
    lax = parse_lax_create(to_json({"prompt": "a", **given}), form.limits(), form.request, form.adapter)

    assert (lax.request.spec, getattr(lax.request, field), lax.ignored) == (form.model, strict, ())


@pytest.mark.parametrize(
    ("field", "value"), [("codec", [5]), ("draft", [5]), ("task", [5]), ("image_urls", "https://a.example/")]
)
def test_lax_value_of_another_type_is_refused(field: str, value: Any) -> None:
    form = FORMS.of(FORMS.registry.enabled["bytedance/seedance-2.5/reference-to-video"])

    with pytest.raises(Invalid) as refused:
        parse_lax_create(to_json({"prompt": "a", field: value}), form.limits(), form.request, form.adapter)
    assert [fault.pointer for fault in refused.value.errors] == [f"/{field}"]


def test_lax_id_of_a_draft_is_a_text() -> None:
    form = FORMS.of(FORMS.registry.enabled["bytedance/seedance-2.5/draft/complete"])

    with pytest.raises(Invalid) as refused:
        parse_lax_create(to_json({"draft_id": "true", "codec": "h264"}), form.limits(), form.request, form.adapter)
    assert [(fault.pointer, fault.type) for fault in refused.value.errors] == [("/draft_id", "draft_id")]


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=10),
    st.sampled_from([lax for _, lax, _ in LAX if not isinstance(lax, dict)]),
)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=2), st.dictionaries(st.text(max_size=3), SCALARS, max_size=3))
NAMES = st.one_of(st.sampled_from(list(CreateGeneration.model_fields)), st.text(max_size=10))


@given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_lax_accepts_valid_strict_requests_only(changes: dict[str, Any]) -> None:
    """Whatever is accepted, its normal form is accepted by the strict parser and means the same."""
    body = to_json({**create_body(), **changes}, inf_nan_mode="constants", serialize_unknown=True)
    try:
        lax = parse_lax_create(body, LIMITS)
    except GatewayError:
        return
    dumped = lax.request.model_dump(mode="json", exclude_unset=True)
    if "max_cost_usd" in dumped:
        dumped["max_cost_usd"] = f"{dumped['max_cost_usd'] / 1_000_000:.6f}" if dumped["max_cost_usd"] else None
    strict = parse_create(json.dumps(dumped).encode(), LIMITS)
    assert (strict, strict.fingerprint()) == (lax.request, lax.request.fingerprint())
    assert set(lax.ignored).isdisjoint(strict.model_fields_set)
