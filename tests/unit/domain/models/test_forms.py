"""Requests by model: the class of each, the choice by ``model``, and prices over every duration."""

import json
from typing import Any

import pytest
from pydantic_core import to_json

from service.domain.models import registry
from service.domain.models.forms import COMPLETES_DRAFTS, RequestForms
from service.domain.models.model import Model
from service.domain.models.registry import SEED
from service.domain.pricing import PIXELS, Prices, Rates
from service.domain.request import CreateGeneration
from service.domain.request_limits import RequestLimits, parse_create
from service.domain.tenant import Limits
from service.errors import FieldError, Invalid, Malformed

T2V = "bytedance/seedance-2.0/text-to-video"
EVERYTHING = RequestLimits(4000, tuple(PIXELS), ("standard", "high"))
REGISTRY = registry.build(enabled=["*"])
FORMS = RequestForms(REGISTRY, EVERYTHING)
SERVED = list(REGISTRY.creatable.values())
MINIMAL: dict[str, Any] = {"prompt": "a cat", "image_url": "https://example.com/a.png"}


def parse(body: Any, tenant: Limits | None = None) -> CreateGeneration:
    return FORMS.parse(body if isinstance(body, bytes) else to_json(body), tenant or Limits())


def test_default_form_has_the_schema_of_create_generation() -> None:
    own, static = FORMS.default.request.model_json_schema(), CreateGeneration.model_json_schema()

    assert {**own, "title": "", "description": ""} == {**static, "title": "", "description": ""}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"prompt": 1}', b'{"x": 1, "prompt": ""}', to_json(MINIMAL), b"\xef\xbb\xbf{}"],
)
def test_default_form_answers_as_create_generation(body: bytes) -> None:
    def answer(call: Any) -> Any:
        try:
            return call().model_dump()
        except (Invalid, Malformed) as error:
            return error.detail, error.errors

    assert answer(lambda: parse(body)) == answer(lambda: parse_create(body, EVERYTHING))


@pytest.mark.parametrize(
    "body",
    [
        to_json({"model": T2V, "prompt": "a cat"}),
        b'\xef\xbb\xbf{"model": "bytedance/seedance-2.0/text-to-video", "prompt": "a cat"}',
        b'{"mod\\u0065l": "bytedance/seedance-2.0/text-to-video", "prompt": "a cat"}',
        b'{"model": "x", "prompt": "a cat", "model": "fal-ai/bytedance/seedance-2.0/text-to-video"}',
    ],
)
def test_model_in_any_spelling_selects_the_form(body: bytes) -> None:
    request = parse(body)

    assert request.spec is not None
    assert (request.spec.id, request.video()["prompt"]) == (T2V, "a cat")


def test_model_in_metadata_or_prompt_selects_nothing() -> None:
    request = parse({**MINIMAL, "metadata": {"model": T2V}, "prompt": f'"model": "{T2V}"'})

    assert request.spec is REGISTRY.default


def test_fingerprint_names_other_models_only() -> None:
    bare, named = parse(MINIMAL), parse({**MINIMAL, "model": SEED})
    fast = parse({**MINIMAL, "model": "bytedance/seedance-2.0/fast/image-to-video"})
    mini = parse({**MINIMAL, "model": "bytedance/seedance-2.0/mini/image-to-video"})

    assert bare.fingerprint() == named.fingerprint() == parse_create(to_json(MINIMAL), EVERYTHING).fingerprint()
    assert len({bare.fingerprint(), fast.fingerprint(), mini.fingerprint()}) == 3


def test_texts_of_prices_are_those_of_the_model() -> None:
    schema = FORMS.of(REGISTRY.enabled["bytedance/seedance-2.0/mini/text-to-video"]).request.model_json_schema()

    text = schema["properties"]["resolution"]["description"]
    assert text == "Default `720p`. It decides the price: 5 seconds cost up to 0.37 USD at `480p`, 0.78 USD at `720p`."
    assert "4.58" not in json.dumps(schema)


@pytest.mark.parametrize("model", SERVED, ids=lambda model: model.id)
def test_estimate_covers_formula_and_published_price(model: Model) -> None:
    rates = Rates.of(model)
    for resolution in model.resolutions:
        for duration in model.durations:
            seconds = model.longest_seconds if duration == "auto" else int(duration)
            tokens = model.price.pixels[resolution] * (24 * seconds + 1) / 1024
            formula = tokens / model.price.unit_tokens * float(model.price.rates[resolution])
            published = float(model.price.per_second.get(resolution, 0)) * seconds
            estimate = rates.estimate(resolution, duration) / 1_000_000
            assert estimate == pytest.approx(max(formula, published), abs=2e-6)
            least, most = rates.expected_units(resolution, duration)
            held = rates.estimate(resolution, duration)
            assert least < most
            assert rates.settle(resolution, most, held).reason is None
            assert rates.settle(resolution, most, held).cost * 10 <= held * 11
            assert rates.settle(resolution, most * 2, held).cost == held


def test_estimates_of_the_default_model_are_unchanged() -> None:
    """The published price of Seedance 2.0 is never above the formula with one more frame."""
    seed = REGISTRY.default
    formula = Rates(seed.price.rates)

    for resolution in seed.resolutions:
        for duration in seed.durations:
            assert Rates.of(seed).estimate(resolution, duration) == formula.estimate(resolution, duration)


def test_prices_of_a_forgotten_model_are_the_default_ones() -> None:
    prices = Prices(REGISTRY.known.values(), REGISTRY.default)

    assert prices.of("was/known/once") == prices.of(SEED)
    assert prices.of(T2V).longest == 15


@pytest.mark.parametrize(
    ("body", "ending"),
    [(MINIMAL, ""), ({"model": T2V, "prompt": "a cat"}, f" ({T2V})")],
    ids=["default", "named"],
)
def test_faults_name_the_values_of_the_tenant(body: dict[str, Any], ending: str) -> None:
    with pytest.raises(Invalid) as raised:
        parse({**body, "resolution": "1p", "duration": "99"}, Limits(resolutions=("480p",), durations=("4",)))
    assert [(error.pointer, error.detail) for error in raised.value.errors] == [
        ("/resolution", f"must be '480p'{ending}"),
        ("/duration", f"must be '4'{ending}"),
    ]


DRAFTS = next(model.id for model in REGISTRY.enabled.values() if model.completes_drafts)


@pytest.mark.parametrize(
    ("name", "tenant", "fault"),
    [
        (5, Limits(), FieldError("/model", "must be a string", "string_type")),
        ("x", Limits(models=()), FieldError("/model", "must be a model that you may use: nothing", "unknown_model")),
        (
            "x",
            Limits(models=(T2V, SEED)),
            FieldError(
                "/model",
                f"must be a model that you may use: {', '.join(m.id for m in SERVED if m.id in (T2V, SEED))}",
                "unknown_model",
            ),
        ),
        (DRAFTS, Limits(), FieldError("/model", COMPLETES_DRAFTS, "completion")),
    ],
)
def test_model_that_cannot_be_used_is_named(name: object, tenant: Limits, fault: FieldError) -> None:
    with pytest.raises(Invalid) as raised:
        parse({**MINIMAL, "model": name}, tenant)
    assert raised.value.errors == (fault,)


def test_form_of_each_model_is_its_own() -> None:
    forms = RequestForms(REGISTRY, EVERYTHING)
    assert forms.default is forms.of(REGISTRY.default)
    for model in REGISTRY.enabled.values():
        form, is_default = forms.of(model), model is REGISTRY.default
        assert (form.model, form.is_default) == (model, is_default)
        assert form.limits().named_model == (None if is_default else model.id)
    assert forms.usable(Limits(models=("x", T2V))) == [T2V]


def test_references_are_of_the_types_that_are_asked_for() -> None:
    given = {name: [f"https://a.example/{name}"] for name in ("image_urls", "video_urls", "audio_urls")}
    request = parse({"model": "bytedance/seedance-2.5/reference-to-video", "prompt": "a", **given})

    assert request.references() == [source for sources in given.values() for source in sources]
    assert request.references("videos") == given["video_urls"]
    assert request.references("audios", "images") == [*given["image_urls"], *given["audio_urls"]]
