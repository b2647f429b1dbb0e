"""Descriptions and types of the request fields of models, and faults of fields that a model does not have."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from service.domain import ids
from service.domain.models.loader import packaged, with_file
from service.domain.models.requests import request_class
from tests.support.factories import NOW

REFERENCE = "bytedance/seedance-2.5/reference-to-video"
OLD_REFERENCE = "bytedance/seedance-2.0/reference-to-video"
US = "bytedance/seedance-2.0/us/text-to-video"
LEGACY = "fal-ai/bytedance/seedance/v1/pro/image-to-video"
COMPLETION = "bytedance/seedance-2.5/draft/complete"
DRAFT = (
    "Make a draft, which `POST /v1/generations/{generation_id}/complete` renders again at 1080p within 7 days. Default "
    "`false`."
)
IMAGE = "A URL that fal can fetch, or the image as a base64 data URI, as in requests of Seedance 2.0. Default: none."
UNKNOWN = "is not known to exist: an operator can configure it in GATEWAY_MODELS_FILE"


def property_of(model_id: str, field: str) -> dict[str, Any]:
    found: dict[str, Any] = request_class(packaged()[model_id]).model_json_schema()["properties"][field]
    return found


@pytest.mark.parametrize(
    ("model_id", "field", "text"),
    [
        (REFERENCE, "prompt", "What happens in the video."),
        (
            REFERENCE,
            "resolution",
            (
                "Default `720p`. It decides the price: 5 seconds cost up to 1.11 USD at `480p`, 2.37 USD at `720p`, "
                "5.82 USD at `1080p`."
            ),
        ),
        (
            REFERENCE,
            "duration",
            (
                "Seconds of video, `4` to `30`, as a string or a number. Default `auto`. `auto` holds the price of 30 "
                "seconds."
            ),
        ),
        (LEGACY, "duration", "Seconds of video, `2` to `12`, as a string or a number. Default `5`."),
        (REFERENCE, "aspect_ratio", "Width to height. Default `auto`."),
        (REFERENCE, "task", "Whether the files are references (default), or a video to edit or to extend."),
        (REFERENCE, "draft", DRAFT),
        (COMPLETION, "draft_id", "Id of the generation of the draft."),
        (
            REFERENCE,
            "image_urls",
            (
                "URLs of up to 30 images that fal can fetch, or the files as base64 data URIs. The prompt names them "
                "@Image1, @Image2 and so on. fal accepts: formats jpeg, png, webp, bmp, tiff, gif, heic, 30 MB each."
            ),
        ),
        (
            REFERENCE,
            "video_urls",
            (
                "URLs of up to 10 videos that fal can fetch, or the files as base64 data URIs. The prompt names them "
                "@Video1, @Video2 and so on. fal accepts: formats mp4, mov, 200 MB each, 1.8 to 30.2 seconds each, up "
                "to 30.2 seconds together, 300 to 6000 pixels a side, 24 to 60 frames per second. Their seconds are "
                "billed."
            ),
        ),
        (
            OLD_REFERENCE,
            "video_urls",
            (
                "URLs of up to 3 videos that fal can fetch, or the files as base64 data URIs. The prompt names them "
                "@Video1, @Video2 and so on. fal accepts: formats mp4, mov, 50 MB together, 2 to 15 seconds together. "
                "Their seconds are billed."
            ),
        ),
        (
            OLD_REFERENCE,
            "audio_urls",
            (
                "URLs of up to 3 sounds that fal can fetch, or the files as base64 data URIs. The prompt names them "
                "@Audio1, @Audio2 and so on. fal accepts: formats mp3, wav, 15 MB each, up to 15 seconds together."
            ),
        ),
    ],
)
def test_field_of_a_model_has_its_description(model_id: str, field: str, text: str) -> None:
    assert property_of(model_id, field)["description"] == text


def own_model(text: str) -> Any:
    table = f'[models."a/b/c"]\nextends = "{LEGACY}"\ntitle = "C"\n{text}\n'
    return request_class(with_file(table, "own.toml")["a/b/c"])


@pytest.mark.parametrize(
    ("text", "field", "description"),
    [
        ('fields.style = { type = "choice", values = ["a", "b"], default = "a" }', "style", "Default `a`."),
        (
            'fields.style = { type = "choice", values = ["a"], default = "a", description = "Style." }',
            "style",
            "Style.",
        ),
        ('fields.style = { type = "choice", values = ["a"] }', "style", None),
        (
            'fields.last_url = { type = "image" }',
            "last_url",
            IMAGE,
        ),
        ('fields.last_url = { type = "image", description = "The end." }', "last_url", "The end."),
        (
            'fields.duration.seconds = [7, 9]\nfields.duration.default = "-"\nfields.duration.required = true',
            "duration",
            "Seconds of video, `7` to `9`, as a string or a number.",
        ),
        (
            "fields.duration.seconds = [7, 9]\nfields.duration.default = '9'\nfields.resolution.default = '-'",
            "resolution",
            "It decides the price: 7 seconds cost up to 0.18 USD at `480p`, 0.39 USD at `720p`, 0.87 USD at `1080p`.",
        ),
        (
            "fields.duration.seconds = [2, 3]\nfields.duration.default = '3'",
            "resolution",
            (
                "Default `1080p`. It decides the price: 3 seconds cost up to 0.08 USD at `480p`, 0.17 USD at `720p`, "
                "0.38 USD at `1080p`."
            ),
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_field_of_an_own_model_has_its_description(text: str, field: str, description: str | None) -> None:
    schema = own_model(text).model_json_schema()
    assert schema["properties"][field].get("description") == description


def faults(cls: Any, **fields: Any) -> list[tuple[str, str]]:
    body = {"prompt": "a", "image_url": "https://a.example/", **fields}
    body = {name: value for name, value in body.items() if value is not ...}
    try:
        TypeAdapter(cls).validate_python(body)
    except ValidationError as error:
        return [(str(fault["loc"][0]), fault["msg"]) for fault in error.errors()]
    return []


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, []),
        ({"bitrate_mode": None}, []),
        ({"bitrate_mode": False}, []),
        ({"bitrate_mode": "high"}, [("bitrate_mode", UNKNOWN)]),
        ({"end_image_url": None}, [("end_image_url", "Extra inputs are not permitted")]),
        ({"seed": 1}, [("seed", "Extra inputs are not permitted")]),
    ],
    ids=str,
)
def test_field_that_a_model_lacks_is_refused(fields: dict[str, Any], found: list[tuple[str, str]]) -> None:
    assert faults(request_class(packaged()[US]), image_url=..., **fields) == found


def test_resolution_without_a_price_is_refused_with_the_reason() -> None:
    cls = own_model('price.rates.480p = "?"')
    text = "has no known price with 480p: an operator can configure it in GATEWAY_MODELS_FILE"
    assert faults(cls, resolution="480p") == [("resolution", text)]
    assert [name for name, _ in faults(cls, resolution="8k")] == ["resolution"]
    assert faults(cls, resolution="720p") == []


def test_completion_needs_the_id_of_a_generation() -> None:
    cls = request_class(packaged()[COMPLETION])
    draft = ids.new(ids.GENERATION, NOW)

    assert faults(cls, prompt=..., image_url=..., draft_id=draft) == []
    text = "must be the id of the generation of a draft: gen_ and 26 characters"
    assert faults(cls, prompt=..., image_url=..., draft_id="x") == [("draft_id", text)]
    assert faults(cls, prompt=..., image_url=..., draft_id=draft, duration="5") == [
        ("duration", "Extra inputs are not permitted")
    ]
    assert "duration" not in cls.model_json_schema()["properties"]
    assert (cls.completes_drafts, cls.input_fields) == (
        True,
        ("resolution", "duration", "generate_audio", "codec"),
    )


def test_class_of_a_model_names_it() -> None:
    cls = request_class(packaged()[REFERENCE])

    assert cls.__name__ == "CreateBytedanceSeedance25ReferenceToVideo"
    assert cls.__doc__ == "The body of ``POST /v1/generations`` for Seedance 2.5, reference to video."
    assert cls.reference_fields == {"images": "image_urls", "videos": "video_urls", "audios": "audio_urls"}
    assert cls.absent == {"image_url", "end_image_url"}
    assert property_of(REFERENCE, "image_urls")["anyOf"][0]["maxItems"] == 30
    number = property_of(REFERENCE, "duration")["anyOf"][1]
    assert number == {"type": "integer", "minimum": 4, "maximum": 30}


@pytest.mark.parametrize(
    ("model_id", "field", "value", "kind"),
    [
        (US, "bitrate_mode", "high", "unknown_capability"),
        (US, "seed", 1, "extra_forbidden"),
        (COMPLETION, "draft_id", "x", "draft_id"),
        (COMPLETION, "duration", "5", "extra_forbidden"),
        (REFERENCE, "task", "singing", "literal_error"),
        (REFERENCE, "image_urls", ["https://a.example/"] * 31, "too_long"),
        (REFERENCE, "duration", 31, "literal_error"),
    ],
)
def test_fault_of_a_model_has_its_type(model_id: str, field: str, value: object, kind: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(request_class(packaged()[model_id])).validate_python({"prompt": "a", field: value})

    assert [fault["type"] for fault in refused.value.errors() if fault["loc"][0] == field] == [kind]
