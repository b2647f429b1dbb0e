"""Reference files of requests: limits, rules between fields, names in prompts, and their form for fal."""

import math
from decimal import Decimal
from typing import Any

import pytest
from pydantic_core import to_json

from service.domain.lax_request import parse_lax_create
from service.domain.models import registry
from service.domain.models.forms import RequestForms
from service.domain.pricing import PIXELS, Rates
from service.domain.request import CreateGeneration
from service.domain.request_limits import RequestLimits
from service.domain.tenant import Limits
from service.errors import FieldError, Invalid

OLD = "bytedance/seedance-2.0/reference-to-video"
NEW = "bytedance/seedance-2.5/reference-to-video"
REGISTRY = registry.build(enabled=["*"])
FORMS = RequestForms(REGISTRY, RequestLimits(4000, tuple(PIXELS), ("standard", "high")))
URL = "https://example.com/a"
DATA = "data:image/png;base64,AAAA"


def parse(model: str = NEW, **fields: Any) -> CreateGeneration:
    return FORMS.parse(to_json({"model": model, "prompt": "a cat", **fields}), Limits())


def faults(model: str = NEW, **fields: Any) -> list[FieldError]:
    with pytest.raises(Invalid) as refused:
        parse(model, **fields)
    return list(refused.value.errors)


def pointers(model: str = NEW, **fields: Any) -> list[str]:
    found = faults(model, **fields)
    assert all(fault.detail.endswith(f" ({model})") for fault in found)
    return [fault.pointer for fault in found]


def of(images: int = 0, videos: int = 0, audios: int = 0) -> dict[str, Any]:
    lists = {"image_urls": images, "video_urls": videos, "audio_urls": audios}
    return {name: [URL] * count for name, count in lists.items() if count}


@pytest.mark.parametrize(
    ("model", "accepted", "refused", "pointer"),
    [
        (OLD, of(9), of(10), "/image_urls"),
        (OLD, of(0, 3), of(0, 4), "/video_urls"),
        (OLD, of(1, 0, 3), of(1, 0, 4), "/audio_urls"),
        (OLD, of(9, 0, 3), of(9, 1, 3), ""),
        (NEW, of(30), of(31), "/image_urls"),
        (NEW, of(0, 10), of(0, 11), "/video_urls"),
        (NEW, of(0, 1, 10), of(0, 1, 11), "/audio_urls"),
        (NEW, of(30, 10, 10), of(30, 10, 11), "/audio_urls"),
        (NEW, of(0, 1, 1), of(0, 0, 1), "/audio_urls"),
    ],
)
def test_references_one_beyond_a_limit_are_refused(
    model: str, accepted: dict[str, list[str]], refused: dict[str, list[str]], pointer: str
) -> None:
    assert {name: parse(model, **accepted).video()[name] for name in accepted} == accepted
    assert pointer in pointers(model, **refused)


def test_references_report_all_faults_of_a_body() -> None:
    found = pointers(
        prompt="@Image3 sings @Audio1",
        image_urls=[URL, "ftp://x"],
        video_urls=[URL, "https://u:p@x/", "data:video/mp4,AA", 7, "x" * 9000],
        task="editing",
        duration="7",
        image_url=URL,
        resolution="8k",
    )

    assert sorted(found) == sorted(
        [
            *("/resolution", "/image_url", "/duration", "/prompt", "/prompt"),
            "/image_urls/1",
            *(f"/video_urls/{at}" for at in (1, 2, 3, 4)),
        ]
    )


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"task": "editing", "duration": "5"}, "/duration"),
        ({"task": "editing", "aspect_ratio": "1:1"}, "/aspect_ratio"),
        ({"task": "extension", "aspect_ratio": "1:1"}, "/aspect_ratio"),
        ({"task": "remix"}, "/task"),
        ({"image_urls": URL}, "/image_urls"),
        ({"image_urls": {"0": URL}}, "/image_urls"),
        ({"image_urls": [[URL]]}, "/image_urls/0"),
        ({"image_urls": [None]}, "/image_urls/0"),
        ({"image_urls": [""]}, "/image_urls/0"),
        ({"image_urls": ["data:image/png,AAAA"]}, "/image_urls/0"),
    ],
)
def test_references_fault_has_its_pointer(fields: dict[str, Any], pointer: str) -> None:
    assert pointers(**{**of(0, 1), **fields}) == [pointer]


@pytest.mark.parametrize(
    ("prompt", "names"),
    [
        ("@Image1 and @Image2, @Video1; 让@Image2走路", None),
        ("no names", None),
        ("mail a@b.example, @image9 @Imagine @Image", None),
        ("@Image2@Image1", None),
        ("@Image01", None),
        ("@Image3", "@Image3, but image_urls has 2 files"),
        ("让@Image3走路", "@Image3, but image_urls has 2 files"),
        ("@Image0", "@Image0, but image_urls has 2 files"),
        ("@Video2", "@Video2, but video_urls has 1 file"),
        ("@Audio1", "@Audio1, but audio_urls has 0 files"),
        ("@Image9 @Image8 @Image7 @Image6 @Image7", "@Image6, @Image7, @Image8, but image_urls has 2 files"),
        (f"@Image{'9' * 5000}", "@Image999999999, but image_urls has 2 files"),
    ],
)
def test_references_named_in_a_prompt_must_be_given(prompt: str, names: str | None) -> None:
    if names is None:
        assert parse(prompt=prompt[:4000], **of(2, 1)).prompt == prompt[:4000]
    else:
        (fault,) = faults(prompt=prompt[:4000], **of(2, 1))
        assert (fault.pointer, fault.detail) == ("/prompt", f"names {names} ({NEW})")


def test_names_are_text_for_models_without_references() -> None:
    assert parse("bytedance/seedance-2.5/text-to-video", prompt="@Image1").prompt == "@Image1"


def test_no_reference_is_the_same_as_an_empty_list() -> None:
    bodies = [parse(), parse(image_urls=[], video_urls=None), parse(audio_urls=[])]

    assert len({body.fingerprint() for body in bodies}) == 1
    assert all("image_urls" not in body.video() for body in bodies)


def test_fingerprint_depends_on_files_and_their_order() -> None:
    a, b = f"{URL}1", f"{URL}2"
    lists: list[dict[str, Any]] = [
        {},
        {"image_urls": [a]},
        {"image_urls": [a, b]},
        {"image_urls": [b, a]},
        {"video_urls": [a]},
    ]

    assert len({parse(**fields).fingerprint() for fields in lists}) == len(lists)
    assert parse(image_urls=[a, b]).fingerprint() == parse(image_urls=[a, b], task="reference").fingerprint()


@pytest.mark.parametrize("name", ["image_urls", "video_urls", "audio_urls"])
def test_data_uris_are_found_in_every_list(name: str) -> None:
    assert parse(**{**of(1), name: [URL, DATA]}).has_data_uris
    assert not parse(**of(3, 3, 3)).has_data_uris


def test_lax_request_encodes_urls_and_ignores_nulls() -> None:
    form = FORMS.of(REGISTRY.enabled[NEW])
    body = {"prompt": "@Image1", "image_urls": ["https://example.com/a b"], "audio_urls": None, "task": "Reference"}
    lax = parse_lax_create(to_json(body), form.limits(), form.request, form.adapter)

    assert (lax.request.references(), lax.ignored) == (["https://example.com/a%20b"], ())
    assert lax.request.video()["task"] == "reference"
    with pytest.raises(Invalid) as refused:
        parse_lax_create(to_json({**body, "prompt": "@Image2"}), form.limits(), form.request, form.adapter)
    assert [fault.pointer for fault in refused.value.errors] == ["/prompt"]


@pytest.mark.parametrize(
    ("model", "measured", "seconds"),
    [
        (OLD, [], None),
        (OLD, [None], "15"),
        (OLD, ["2.5"], "2.5"),
        (OLD, ["2.5", "3"], "5.5"),
        (OLD, ["2.5", None], "15"),
        (OLD, ["16", None], "16"),
        (NEW, [None, None], "30.2"),
        (NEW, ["30.2"], "30.2"),
    ],
)
def test_unknown_video_is_priced_as_the_longest_input(
    model: str, measured: list[str | None], seconds: str | None
) -> None:
    rates = Rates.of(REGISTRY.enabled[model])
    found = rates.input_seconds([None if each is None else Decimal(each) for each in measured])

    assert found == (None if seconds is None else Decimal(seconds))


def test_video_input_can_make_a_video_dearer_or_cheaper() -> None:
    rates = Rates.of(REGISTRY.enabled[NEW])
    without = rates.parts("720p", "5")
    short = rates.parts("720p", "5", input_seconds=Decimal(2))
    long = rates.parts("720p", "5", input_seconds=Decimal("30.2"))

    assert short.cost < without.cost < long.cost
    assert [without.factor, short.factor, long.input_seconds] == [Decimal(1), Decimal("0.6"), Decimal("30.2")]
    tokens = Decimal(1112 * 834) * (24 * 7 + 1) / 1024
    assert short.formula == math.ceil(tokens * Decimal("0.0214") * Decimal("0.6") * 1000)
    assert short.published == Decimal("0.4730") * 7 * Decimal("0.6") * 1_000_000
    assert short.decided_by == "published"
