"""Differences between a model and what fal publishes: the operator reads what breaks, and the lines that cure it."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from service.domain.models.drift import Difference, differences
from service.domain.models.loader import packaged, with_file
from service.domain.models.model import Model
from service.domain.models.published import PublishedField, PublishedSchema

I2V = packaged()["bytedance/seedance-2.0/image-to-video"]
US20 = packaged()["bytedance/seedance-2.0/us/text-to-video"]
T25 = packaged()["bytedance/seedance-2.5/text-to-video"]
R25 = packaged()["bytedance/seedance-2.5/reference-to-video"]
US25 = packaged()["bytedance/seedance-2.5/us/text-to-video"]
COMPLETION = packaged()["bytedance/seedance-2.5/draft/complete"]
LEGACY = packaged()["fal-ai/bytedance/seedance/v1.5/pro/text-to-video"]
#: What fal calls the types of a model's fields.
TYPES = {"boolean": "boolean", "integer": "integer", "images": "array", "videos": "array", "audios": "array"}
SECONDS = tuple(map(str, range(4, 31)))


def unknown_rate() -> Model:
    """Return a model that has a resolution without a known price."""
    text = f'[models."{I2V.id}"]\nextends = "{I2V.id}"\nprice.rates.4k = "?"\n'
    return with_file(text, "own.toml")[I2V.id]


def published(model: Model, outputs: Iterable[str] | None = None, **changes: Any) -> PublishedSchema:
    """Return what fal would publish of a model without a difference. A change of None removes the field."""
    fields = {
        name: PublishedField(
            TYPES.get(field.type, "string"),
            required=field.required,
            default=field.default,
            values=field.choices or None,
            least=field.least,
            most=field.most,
            most_items=None if field.files is None else field.files.count,
        )
        for name, field in model.fields.items()
    }
    for name, change in changes.items():
        if change is None:
            del fields[name]
        else:
            fields[name] = replace(fields[name], **change) if isinstance(change, dict) else change
    return PublishedSchema(fields, frozenset(model.output if outputs is None else outputs))


@pytest.mark.parametrize("model", packaged().values(), ids=lambda model: model.id)
def test_drift_of_an_equal_schema_is_empty_but_for_the_unknown(model: Model) -> None:
    found = differences(model, published(model))

    assert [each.subject for each in found] == list(model.unknown)
    assert {each.text for each in found} <= {'the model has "?", and fal\'s schema does not have this field'}
    assert [each.breaks for each in found] == [False] * len(found)
    assert [each.change for each in found] == [(f'fields.{name} = "-"',) for name in model.unknown]


@pytest.mark.parametrize(
    ("values", "seconds"), [(("99", "100"), "[99, 100]"), (("9999",), None), ((*SECONDS, "max"), None)]
)
def test_drift_of_durations_has_a_change_for_seconds_in_a_row(values: tuple[str, ...], seconds: str | None) -> None:
    found = differences(T25, published(T25, duration={"values": values}))

    changes = [line for each in found for line in each.change if line.startswith("fields.duration.seconds")]
    assert set(changes) == ({f"fields.duration.seconds = {seconds}"} if seconds else set())


def test_drift_of_a_resolution_without_a_rate_is_the_price_alone() -> None:
    model = unknown_rate()

    assert [each.subject for each in differences(model, published(model))] == ["resolutions without a price"]


def test_drift_of_an_unknown_field_that_fal_has_is_one_difference() -> None:
    flash = next(model for model in packaged().values() if "codec" in model.unknown)
    theirs = published(flash, codec=PublishedField("string", values=("H264", "H265")))

    others = [name for name in flash.unknown if name != "codec"]
    assert [each.subject for each in differences(flash, theirs)] == ["codec", *others]


def test_drift_of_a_completion_has_the_fields_after_its_duration() -> None:
    names = list(COMPLETION.fields)
    after = names[names.index("duration") + 1 :]
    theirs = published(COMPLETION, **dict.fromkeys(after))

    assert {each.subject for each in differences(COMPLETION, theirs)} >= set(after) != set()


def one(subject: str, text: str, *change: str, breaks: bool = False) -> list[Difference]:
    return [Difference(subject, text, breaks, change)]


REMOVED = "fal's schema does not have this field, so fal ignores it"
ONLY_FAL = "only fal has this field, so callers cannot give it"
REQUIRED = "fal requires this field, and the model does not have it"
SENDS_AUTO = 'the gateway sends "auto" if a caller does not give it'
CASES: list[tuple[Model, dict[str, Any], list[Difference]]] = [
    # Fields that one side does not have.
    (T25, {"codec": None}, one("codec", REMOVED, 'fields.codec = "-"', breaks=True)),
    (T25, {"duration": None}, one("duration", REMOVED, breaks=True)),
    (T25, {"resolution": None}, one("resolution", REMOVED, breaks=True)),
    (COMPLETION, {"duration": None}, []),  # it is the draft's
    (COMPLETION, {"draft_id": None}, one("draft_id", REMOVED, 'fields.draft_id = "-"', breaks=True)),
    (I2V, {"end_user_id": PublishedField("string")}, []),
    (
        I2V,
        {"style": PublishedField("string", default="a")},
        one("style", ONLY_FAL, 'fields.style = { type = "prompt" }'),
    ),
    (
        I2V,
        {"style": PublishedField("string", required=True)},
        one("style", REQUIRED, 'fields.style = { type = "prompt", required = true }', breaks=True),
    ),
    (
        I2V,
        {"style": PublishedField("string", values=("a", "b"), default="b")},
        one("style", ONLY_FAL, 'fields.style = { type = "choice", values = ["a", "b"], default = "b" }'),
    ),
    (
        I2V,
        {"style": PublishedField("string", values=("a", "b"), default="c")},
        one("style", ONLY_FAL, 'fields.style = { type = "choice", values = ["a", "b"] }'),
    ),
    (
        I2V,
        {"style": PublishedField(None, values=("a",))},
        one("style", ONLY_FAL, 'fields.style = { type = "choice", values = ["a"] }'),
    ),
    (I2V, {"style": PublishedField("integer", values=("a",))}, one("style", ONLY_FAL)),
    (I2V, {"style": PublishedField("string", values=())}, one("style", ONLY_FAL)),
    (I2V, {"style": PublishedField(None)}, one("style", ONLY_FAL)),
    (I2V, {"style": PublishedField("object")}, one("style", ONLY_FAL)),
    (
        I2V,
        {"loops": PublishedField("integer", default=3)},
        one("loops", ONLY_FAL, 'fields.loops = { type = "integer", default = 3 }'),
    ),
    (
        I2V,
        {"loops": PublishedField("integer", default=True)},
        one("loops", ONLY_FAL, 'fields.loops = { type = "integer" }'),
    ),
    (
        I2V,
        {"loop": PublishedField("boolean", default=False)},
        one("loop", ONLY_FAL, 'fields.loop = { type = "boolean", default = false }'),
    ),
    (
        I2V,
        {"loop": PublishedField("boolean", default=0)},
        one("loop", ONLY_FAL, 'fields.loop = { type = "boolean" }'),
    ),
    (
        I2V,
        {"draft": PublishedField("boolean", default=False)},
        one("draft", ONLY_FAL, 'fields.draft = { type = "draft" }'),
    ),
    (I2V, {"draft": PublishedField("integer")}, one("draft", ONLY_FAL)),
    (I2V, {"video_urls": PublishedField("array")}, one("video_urls", ONLY_FAL)),
    (I2V, {"Odd\nName": PublishedField("string")}, one("Odd?Name", ONLY_FAL)),
    (
        US20,
        {"bitrate_mode": PublishedField("string", values=("standard",))},
        one(
            "bitrate_mode",
            'the model has "?", and fal\'s schema has this field',
            'fields.bitrate_mode = { type = "choice", values = ["standard"] }',
        ),
    ),
    # Types.
    (
        T25,
        {"generate_audio": {"type": "string"}},
        one(
            "generate_audio type",
            "fal's type is string, the model's is boolean",
            'fields.generate_audio = "-"',
            breaks=True,
        ),
    ),
    (
        T25,
        {"generate_audio": {"type": "str\ning", "required": True}},
        one("generate_audio type", "fal's type is str?ing, the model's is boolean", breaks=True),
    ),
    (
        T25,
        {"duration": {"type": "integer"}},
        one("duration type", "fal's type is integer, the model's is duration", breaks=True),
    ),
    (T25, {"generate_audio": {"type": None}}, []),
    # Values.
    (
        T25,
        {"codec": {"values": None}},
        one("codec values", "fal's schema names no values, so they are not compared"),
    ),
    (
        T25,
        {"resolution": {"values": ("480p", "720p")}},
        one(
            "resolutions that fal refuses",
            'fal does not accept ["1080p"]',
            'fields.resolution.values = ["480p", "720p"]',
            breaks=True,
        ),
    ),
    (
        T25,
        {"resolution": {"values": ("480p",), "default": "480p"}},
        [
            *one(
                "resolutions that fal refuses",
                'fal does not accept ["720p", "1080p"]',
                'fields.resolution.values = ["480p"]',
                'fields.resolution.default = "480p"',
                breaks=True,
            ),
            *one(
                "resolution default",
                'fal\'s is "480p"; the gateway sends "720p" if a caller does not give it',
                'fields.resolution.default = "480p"',
            ),
        ],
    ),
    (
        T25,
        {"resolution": {"values": ("480p", "720p", "1080p", "4k")}},
        one(
            "resolutions that only fal has",
            'only fal accepts ["4k"]',
            'fields.resolution.values = ["480p", "720p", "1080p", "4k"]',
            'price.rates."4k" = "?"',
        ),
    ),
    (
        T25,
        {"aspect_ratio": {"values": (*T25.fields["aspect_ratio"].values, "9:21")}},
        one(
            "aspect_ratio values that only fal has",
            'only fal accepts ["9:21"]',
            'fields.aspect_ratio.values = ["auto", "21:9", "16:9", "4:3", "1:1", "3:4", "9:16", "9:21"]',
        ),
    ),
    (
        T25,
        {"duration": {"values": ("auto", *SECONDS, "31")}},
        one(
            "durations that only fal has",
            'only fal accepts ["31"]',
            "fields.duration.seconds = [4, 31]",
            "fields.duration.auto = true",
        ),
    ),
    (
        T25,
        {"duration": {"values": SECONDS, "default": "5"}},
        [
            *one(
                "durations that fal refuses",
                'fal does not accept ["auto"]',
                "fields.duration.seconds = [4, 30]",
                "fields.duration.auto = false",
                'fields.duration.default = "5"',
                breaks=True,
            ),
            *one("duration default", f'fal\'s is "5"; {SENDS_AUTO}', 'fields.duration.default = "5"'),
        ],
    ),
    (
        T25,
        {"duration": {"values": SECONDS, "default": None}},
        [
            *one(
                "durations that fal refuses",
                'fal does not accept ["auto"]',
                "fields.duration.seconds = [4, 30]",
                "fields.duration.auto = false",
                'fields.duration.default = "-"',
                "fields.duration.required = true",
                breaks=True,
            ),
            *one("duration default", f"fal's schema names none; {SENDS_AUTO}"),
        ],
    ),
    (
        T25,
        {"duration": {"values": ("auto", *SECONDS, "1000")}},  # not seconds of a video
        one("durations that only fal has", 'only fal accepts ["1000"]'),
    ),
    (
        T25,
        {"duration": {"values": ("auto", *SECONDS, "999")}},  # a gap
        one("durations that only fal has", 'only fal accepts ["999"]'),
    ),
    (
        T25,
        {"duration": {"values": ("auto", *SECONDS, "５")}},
        one("durations that only fal has", 'only fal accepts ["５"]'),
    ),
    (unknown_rate(), {"resolution": {"values": ("480p", "720p", "1080p")}}, []),
    (
        unknown_rate(),
        {},
        one("resolutions without a price", 'fal accepts ["4k"], and the model\'s rate is "?"'),
    ),
    # Required, and defaults.
    (
        T25,
        {"codec": {"required": True}},
        one(
            "codec required",
            f"fal requires it, the model does not: {SENDS_AUTO}",
            "fields.codec.required = true",
            'fields.codec.default = "-"',
        ),
    ),
    (
        I2V,
        {"end_image_url": {"required": True}},
        one(
            "end_image_url required",
            "fal requires it, the model does not",
            "fields.end_image_url.required = true",
            breaks=True,
        ),
    ),
    (
        I2V,
        {"prompt": {"required": False}},
        one("prompt required", "the model requires it, fal does not", "fields.prompt.required = false"),
    ),
    (US25, {"duration": {"required": False}}, one("duration required", "the model requires it, fal does not")),
    (
        US25,
        {"duration": {"required": False, "default": "5"}},
        one(
            "duration required",
            "the model requires it, fal does not",
            "fields.duration.required = false",
            'fields.duration.default = "5"',
        ),
    ),
    (
        I2V,
        {"prompt": {"required": False, "default": "a cat"}},
        one("prompt required", "the model requires it, fal does not", "fields.prompt.required = false"),
    ),
    (
        T25,
        {"codec": {"default": None}},
        one("codec default", f"fal's schema names none; {SENDS_AUTO}", 'fields.codec.default = "-"'),
    ),
    (
        T25,
        {"codec": {"default": "AV1"}},
        one("codec default", f'fal\'s is "AV1"; {SENDS_AUTO}'),
    ),
    (
        T25,
        {"generate_audio": {"default": False}},
        one(
            "generate_audio default",
            "fal's is false; the gateway sends true if a caller does not give it",
            "fields.generate_audio.default = false",
        ),
    ),
    (
        T25,
        {"generate_audio": {"default": 0}},
        one("generate_audio default", "fal's is 0; the gateway sends true if a caller does not give it"),
    ),
    (I2V, {"seed": {"default": 7}}, []),  # the gateway sends none: fal's applies
    # Bounds.
    (
        I2V,
        {"seed": {"least": 1}},
        one("seed least", "fal's is 1, the model's is 0", "fields.seed.least = 1", breaks=True),
    ),
    (I2V, {"seed": {"least": -1}}, one("seed least", "fal's is -1, the model's is 0", "fields.seed.least = -1")),
    (
        I2V,
        {"seed": {"most": 9}},
        one("seed most", f"fal's is 9, the model's is {2**32 - 1}", "fields.seed.most = 9", breaks=True),
    ),
    (
        I2V,
        {"seed": {"most": 2**40}},
        one("seed most", f"fal's is {2**40}, the model's is {2**32 - 1}", f"fields.seed.most = {2**40}"),
    ),
    (I2V, {"seed": {"least": None, "most": None}}, []),
    (I2V, {"image_url": {"least": 1}}, []),
    (
        R25,
        {"image_urls": {"most_items": 20}},
        one(
            "image_urls files.count",
            "fal's is 20, the model's is 30",
            "fields.image_urls.files.count = 20",
            breaks=True,
        ),
    ),
]


@pytest.mark.parametrize(("model", "changes", "found"), CASES, ids=lambda value: str(value)[:60])
def test_drift_has_its_text_and_its_cure(model: Model, changes: dict[str, Any], found: list[Difference]) -> None:
    assert [
        each
        for each in differences(model, published(model, **changes))
        if each.subject not in model.unknown or each in found
    ] == found


@pytest.mark.parametrize(
    ("outputs", "found"),
    [
        (["video", "seed", "cover"], []),
        (["video"], one("output seed", "fal's schema does not have this output", 'output = ["video"]')),
        (["seed"], one("output video", "fal's schema does not have this output", 'output = ["seed"]', breaks=True)),
        (
            ["draft_id", "seed", "video"],
            one("output draft_id", "only fal's schema has this output", 'output = ["video", "seed", "draft_id"]'),
        ),
    ],
)
def test_drift_of_outputs_breaks_without_the_video(outputs: list[str], found: list[Difference]) -> None:
    assert differences(I2V, published(I2V, outputs)) == found


def test_drift_without_a_schema_of_the_result_has_no_outputs() -> None:
    assert differences(I2V, replace(published(I2V), outputs=None)) == []


def test_drift_is_in_the_order_of_the_model_then_of_fal() -> None:
    schema = published(
        T25, ["video"], codec=None, prompt=None, zoom=PublishedField("string"), angle=PublishedField("string")
    )

    found = [each.subject for each in differences(T25, schema)]

    assert found == ["prompt", "codec", "zoom", "angle", "output seed", "output draft_id"]
