"""The registry of models: the files of this release, files of operators, and which models are enabled."""

from decimal import Decimal
from typing import Any

import pytest

from service.domain.models import registry
from service.domain.models.loader import ModelsFileError, packaged, with_file
from service.domain.models.model import Model
from service.domain.models.registry import SEED, ModelsError
from service.domain.models.rules import broken_rules
from service.errors import FieldError

FLASH = "bytedance/seedance-2.5/flash/text-to-video"
COMPLETION = "bytedance/seedance-2.5/draft/complete"
REFERENCE = "bytedance/seedance-2.5/reference-to-video"
T2V, I2V, R2V = "text-to-video", "image-to-video", "reference-to-video"

#: Variant, kinds, seconds with the default, resolutions with the default, rates, published prices.
ALL = (T2V, I2V, R2V)
AUTO = "auto 4-15 auto"
LOW = "480p 720p 720p"
HIGH = "480p 720p 1080p 720p"
OLD = "480p 720p 1080p 1080p"
TABLE: list[tuple[str, tuple[str, ...], str, str, str, str]] = [
    ("bytedance/seedance-2.0/", ALL, AUTO, "480p 720p 1080p 4k 720p", "0.014 0.014 0.014 0.008", "? 0.3034 0.682 1.56"),
    ("bytedance/seedance-2.0/fast/", ALL, AUTO, LOW, "0.0112 0.0112", "? 0.2419"),
    ("bytedance/seedance-2.0/mini/", ALL, AUTO, LOW, "0.007 0.007", "0.0721 0.1547"),
    ("bytedance/seedance-2.0/us/", ALL, AUTO, LOW, "0.0168 0.0168", "0.1731 0.37"),
    ("bytedance/seedance-2.5/", ALL, "auto 4-30 auto", HIGH, "0.0214 0.0214 0.0234", "0.2205 0.4730 1.164"),
    ("bytedance/seedance-2.5/us/", ALL, "4-30 -", HIGH, "0.02568 0.02568 0.02808", "0.2646 0.5676 1.396"),
    ("bytedance/seedance-2.5/draft/", ("complete",), "4-30 -", "1080p 1080p", "0.0234", "1.164"),
    ("bytedance/seedance-2.5/flash/", (T2V,), "4-30 -", LOW, "0.014 0.014", "0.1442 0.3094"),
    ("fal-ai/bytedance/seedance/v1.5/pro/", (T2V, I2V), "4-12 5", HIGH, "2.4 2.4 2.4", "? ? ?"),
    ("fal-ai/bytedance/seedance/v1/pro/", (T2V, I2V), "2-12 5", OLD, "2.5 2.5 2.5", "? ? ?"),
    ("fal-ai/bytedance/seedance/v1/pro/fast/", (T2V, I2V), "2-12 5", OLD, "1.0 1.0 1.0", "? ? ?"),
]
#: Input fields of each kind and family, beyond resolution and duration.
COMMON = {"prompt", "aspect_ratio", "generate_audio", "bitrate_mode"}
IMAGES = {"image_url", "end_image_url"}
MEDIA = {"image_urls", "video_urls", "audio_urls"}
LEGACY = {"prompt", "seed", "camera_fixed", "enable_safety_checker"}
FIELDS: dict[str, set[str]] = {
    "bytedance/seedance-2.0/text-to-video": COMMON,
    "bytedance/seedance-2.0/image-to-video": COMMON | IMAGES | {"seed"},
    "bytedance/seedance-2.0/reference-to-video": COMMON | MEDIA,
    "bytedance/seedance-2.0/fast/text-to-video": COMMON,
    "bytedance/seedance-2.0/fast/image-to-video": COMMON | IMAGES | {"seed"},
    "bytedance/seedance-2.0/fast/reference-to-video": COMMON | MEDIA,
    "bytedance/seedance-2.0/mini/text-to-video": COMMON - {"bitrate_mode"},
    "bytedance/seedance-2.0/mini/image-to-video": COMMON - {"bitrate_mode"} | IMAGES | {"seed"},
    "bytedance/seedance-2.0/mini/reference-to-video": COMMON - {"bitrate_mode"} | MEDIA,
    "bytedance/seedance-2.0/us/text-to-video": COMMON - {"bitrate_mode"},
    "bytedance/seedance-2.0/us/image-to-video": COMMON - {"bitrate_mode"} | IMAGES | {"seed"},
    "bytedance/seedance-2.0/us/reference-to-video": COMMON - {"bitrate_mode"} | MEDIA,
    "bytedance/seedance-2.5/text-to-video": COMMON | {"codec", "draft"},
    "bytedance/seedance-2.5/image-to-video": COMMON | IMAGES | {"codec", "draft"},
    "bytedance/seedance-2.5/reference-to-video": COMMON | MEDIA | {"codec", "draft", "task", "seed"},
    "bytedance/seedance-2.5/us/text-to-video": COMMON | {"codec"},
    "bytedance/seedance-2.5/us/image-to-video": COMMON | IMAGES | {"codec"},
    "bytedance/seedance-2.5/us/reference-to-video": COMMON | MEDIA | {"codec", "task", "seed"},
    "bytedance/seedance-2.5/draft/complete": {"draft_id", "codec"},
    "bytedance/seedance-2.5/flash/text-to-video": COMMON - {"bitrate_mode"},
    "fal-ai/bytedance/seedance/v1.5/pro/text-to-video": LEGACY | {"generate_audio"},
    "fal-ai/bytedance/seedance/v1.5/pro/image-to-video": LEGACY | {"generate_audio"} | IMAGES,
    "fal-ai/bytedance/seedance/v1/pro/text-to-video": LEGACY,
    "fal-ai/bytedance/seedance/v1/pro/image-to-video": LEGACY | IMAGES,
    "fal-ai/bytedance/seedance/v1/pro/fast/text-to-video": LEGACY,
    "fal-ai/bytedance/seedance/v1/pro/fast/image-to-video": LEGACY | {"image_url"},
}
UNKNOWN = {
    "bytedance/seedance-2.0/us/text-to-video": {"bitrate_mode"},
    "bytedance/seedance-2.0/us/image-to-video": {"bitrate_mode"},
    "bytedance/seedance-2.0/us/reference-to-video": {"bitrate_mode"},
    "bytedance/seedance-2.5/flash/text-to-video": {"bitrate_mode", "codec"},
    **{name: {"aspect_ratio"} for name in FIELDS if name.startswith("fal-ai/")},
}


def as_row(model: Model) -> tuple[str, str, str, str]:
    """Return the definition in the form of the table."""
    duration, resolution = model.fields["duration"], model.fields["resolution"]
    first, last = duration.seconds or (0, 0)
    price = model.price
    return (
        f"{'auto ' if duration.auto else ''}{first}-{last} {duration.default or '-'}",
        " ".join((*resolution.values, str(resolution.default))),
        " ".join(str(price.rates[value]) for value in resolution.values),
        " ".join(str(price.per_second.get(value, "?")) for value in resolution.values),
    )


def test_packaged_models_are_those_of_the_table() -> None:
    listed = [f"{variant}{kind}" for variant, kinds, *_ in TABLE for kind in kinds]

    assert sorted(packaged()) == sorted(listed) == sorted(FIELDS)


@pytest.mark.parametrize(
    ("model_id", "row"), [(variant + kind, tuple(row)) for variant, kinds, *row in TABLE for kind in kinds]
)
def test_packaged_model_has_values_and_prices(model_id: str, row: tuple[str, ...]) -> None:
    assert as_row(packaged()[model_id]) == row


@pytest.mark.parametrize("model_id", FIELDS)
def test_packaged_model_has_its_fields(model_id: str) -> None:
    model = packaged()[model_id]

    assert model.fields.keys() - {"resolution", "duration"} == FIELDS[model_id]
    assert set(model.unknown) == UNKNOWN.get(model_id, set())
    assert model.family in model_id.replace("/v1.5/", "-1.5/").replace("/v1/", "-1.0/")
    assert model.upstream == model_id
    assert model.legacy == model_id.startswith("fal-ai/")
    assert ("draft_id" in model.output) == ("draft" in model.fields)


@pytest.mark.parametrize("model_id", FIELDS)
def test_packaged_model_requires_what_fal_requires(model_id: str) -> None:
    model = packaged()[model_id]
    required = {
        "text-to-video": {"prompt"},
        "image-to-video": {"prompt", "image_url"},
        "reference-to-video": set() if "2.5" in model_id else {"prompt"},
        "completion": {"draft_id"},
    }[model.kind]

    found = {name for name, field in model.fields.items() if field.required}

    assert found - {"duration"} == required
    assert ("duration" in found) == (model.fields["duration"].default is None)


def test_reference_limits_are_those_of_the_table() -> None:
    old, new = packaged()["bytedance/seedance-2.0/reference-to-video"], packaged()[REFERENCE]

    assert (old.files, new.files) == (12, 50)
    assert [count(old, name) for name in sorted(MEDIA)] == [3, 9, 3]
    assert [count(new, name) for name in sorted(MEDIA)] == [10, 30, 10]
    videos = new.fields["video_urls"].files
    assert videos is not None
    assert videos.seconds_each == (Decimal("1.8"), Decimal("30.2"))
    assert (videos.pixels, videos.frames_per_second, videos.bytes_each) == ((300, 6000), (24, 60), 200_000_000)


def count(model: Model, field: str) -> int | None:
    files = model.fields[field].files
    return None if files is None else files.count


RULES: list[tuple[str, dict[str, Any], list[str]]] = [
    (REFERENCE, {"task": "reference", "duration": "5", "aspect_ratio": "16:9"}, []),
    (REFERENCE, {"task": "editing", "duration": "5", "aspect_ratio": "16:9"}, ["/duration", "/aspect_ratio"]),
    (REFERENCE, {"task": "editing", "duration": "auto", "aspect_ratio": "auto"}, []),
    (REFERENCE, {"task": "extension", "duration": "5", "aspect_ratio": "16:9"}, ["/aspect_ratio"]),
    (REFERENCE, {"audio_urls": ["a"]}, ["/audio_urls"]),
    (REFERENCE, {"audio_urls": ["a"], "video_urls": ["b"]}, []),
    (REFERENCE, {"image_urls": ["a"] * 30, "video_urls": ["b"] * 10, "audio_urls": ["c"] * 10}, []),
    (REFERENCE, {"image_urls": ["a"] * 31, "video_urls": ["b"] * 10, "audio_urls": ["c"] * 10}, [""]),
    (SEED, {"task": "editing", "duration": "5", "audio_urls": ["a"]}, []),
]


@pytest.mark.parametrize(("model_id", "values", "pointers"), RULES)
def test_rule_broken_names_the_field(model_id: str, values: dict[str, Any], pointers: list[str]) -> None:
    assert [fault.pointer for fault in broken_rules(packaged()[model_id], values)] == pointers


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        (
            {"task": "editing", "duration": "5"},
            FieldError("/duration", "must be 'auto' with the task 'editing'", "forced_value"),
        ),
        (
            {"task": "extension", "aspect_ratio": "1:1"},
            FieldError("/aspect_ratio", "must be 'auto' with the task 'extension'", "forced_value"),
        ),
        ({"audio_urls": ["a"]}, FieldError("/audio_urls", "needs an image or a video", "audio_alone")),
        (
            {"image_urls": ["a"] * 51},
            FieldError("", "must have at most 50 files in all, has 51", "too_many_files"),
        ),
        (
            {"prompt": "@Image1"},
            FieldError("/prompt", "names @Image1, but image_urls has 0 files", "missing_reference"),
        ),
    ],
)
def test_rule_broken_has_its_text(values: dict[str, Any], fault: FieldError) -> None:
    assert broken_rules(packaged()[REFERENCE], values) == [fault]


def test_rule_ignores_values_of_a_wrong_type() -> None:
    assert broken_rules(packaged()[REFERENCE], {"image_urls": "a" * 60, "prompt": 5, "task": "editing"}) == []


NEW = """
family = "seedance-3.0"

[models."bytedance/seedance-3.0/text-to-video"]
extends = "bytedance/seedance-2.0/text-to-video"
title = "Seedance 3.0, text to video"
aliases = ["seedance-3"]
enabled = true
fields.duration.seconds = [4, 60]
price.rates.4k = "0.009"
"""


@pytest.mark.parametrize(
    ("loops", "default"), [("least = 2, default = 2", 2), ("most = 3, default = 3", 3), ("least = 3, most = 3", None)]
)
def test_file_bounds_include_their_ends(loops: str, default: int | None) -> None:
    text = own(f'fields.loops = {{ type = "integer", {loops} }}')

    assert with_file(text, "own.toml")["a/b/c"].fields["loops"].default == default


def test_file_ranges_include_their_ends() -> None:
    limits = [f"{name} = [15, 15]" for name in RANGES] + [f"{name} = 1" for name in COUNTS]
    text = files("\nfields.clips.files.".join(limits))

    assert with_file(text, "own.toml")["a/b/c"].references["clips"].longest_seconds == 15


def test_file_adds_a_model_that_extends_another() -> None:
    model = with_file(NEW, "own.toml")["bytedance/seedance-3.0/text-to-video"]

    assert (model.family, model.longest_seconds) == ("seedance-3.0", 60)
    assert model.fields["prompt"] == packaged()[SEED].fields["prompt"]
    assert [str(rate) for rate in model.price.rates.values()] == ["0.014", "0.014", "0.014", "0.009"]


def test_file_changes_a_packaged_model() -> None:
    text = f'[models."{FLASH}"]\nextends = "{FLASH}"\nfields.bitrate_mode = {{ type = "choice", values = ["high"] }}\n'

    changed, before = with_file(text, "own.toml"), packaged()

    assert changed[FLASH].fields["bitrate_mode"].values == ("high",)
    assert changed[FLASH].unknown == ("codec",)
    assert changed[FLASH].title == before[FLASH].title
    assert {name for name in before if changed[name] != before[name]} == {FLASH}


def test_file_change_reaches_models_that_extend() -> None:
    text = f'[models."{SEED}"]\nextends = "{SEED}"\nfields.duration.seconds = [4, 20]\n'

    found = with_file(text, "own.toml")

    assert {found[name].longest_seconds for name in found if "seedance-2.0" in name} == {20}
    assert found[SEED].enabled


def own(text: str, model_id: str = "a/b/c") -> str:
    return f'[models."{model_id}"]\nextends = "{SEED}"\ntitle = "C"\n{text}\n'


COUNTS = ("count", "bytes_each", "bytes_total")
RANGES = ("seconds_each", "seconds_total", "pixels", "frames_per_second")


def files(limit: str) -> str:
    """Return a model with a list of videos that has this limit."""
    return own(f"fields.clips.type = 'videos'\nfields.clips.files.formats = ['mp4']\nfields.clips.files.{limit}")


#: Text of the file, and what the error names after the file: the model and the field, and the reason.
BROKEN: list[tuple[str, str]] = [
    ("[models", "own.toml: is not TOML: "),
    ("model = 1", "own.toml, model: unknown field"),
    ("models = 1", "own.toml, models: must be tables"),
    ('[models]\n"a/b/c" = 1', "own.toml, models: must be tables"),
    ('[models."a/b/c"]\nextends = "x/y/z"', "own.toml, a/b/c, extends: there is no such model"),
    ('[models."a/b/c"]\nextends = "a/b/c"', "own.toml, a/b/c, extends: this release has no such model"),
    (own('extends_ = "x"'), "own.toml, a/b/c, extends_: unknown field"),
    ('[models."a/b/c"]\nextends="a/b/d"\n[models."a/b/d"]\nextends="a/b/c"', ": the models extend each other"),
    ('[models."a/b/c"]\ntitle = "C"', "own.toml, a/b/c, family: is required"),
    (f'[models."a/b/c"]\nextends = "{SEED}"', "own.toml, a/b/c, title: is required"),
    (own("", "a/b"), "own.toml, a/b, id: must match "),
    (own('kind = "music"'), "own.toml, a/b/c, kind: must be "),
    (own("family = 3"), "own.toml, a/b/c, family: must be a string"),
    (own("price.rates.720p = 0"), "own.toml, a/b/c, price.rates.720p: must be greater than 0"),
    (own('price.rates.720p = "NaN"'), "own.toml, a/b/c, price.rates.720p: must be a finite number"),
    (own('price.rates.720p = "-"'), "own.toml, a/b/c: has no rate for 720p"),
    (own('price.rates.720p = "?"'), "own.toml, a/b/c: has no rate for the default resolution 720p"),
    (own('fields.resolution.values = ["480p", "8k"]\nfields.resolution.default = "480p"'), ": has no rate for 8k"),
    (own('fields.resolution.values = ["480p", "{x}"]\nfields.resolution.default = "480p"'), ": has no rate for {x}"),
    (own('fields.resolution.default = "8k"'), "a/b/c, fields.resolution: the default is no value of the field"),
    (own("fields.duration.seconds = [9, 4]"), "a/b/c, fields.duration: seconds must be two numbers"),
    (own("fields.duration.seconds = [4]"), "a/b/c, fields.duration.seconds"),
    (own("fields.duration.default = 5"), "a/b/c, fields.duration: the default is no value"),
    (own('fields.duration = "-"'), "own.toml, a/b/c: needs the field duration"),
    (own('fields.prompt.default = "x"'), "a/b/c, fields.prompt: a required field has no default"),
    (own('fields.style = { type = "colour" }'), "own.toml, a/b/c, fields.style.type: must be "),
    (own('fields.loops = { type = "integer", default = true }'), "fields.loops: the default is no value of the field"),
    (own('fields.loops = { type = "integer", default = "3" }'), "fields.loops: the default is no value of the field"),
    (own('fields.loop = { type = "boolean", default = 1 }'), "fields.loop: the default is no value of the field"),
    (own('fields.last_url = { type = "image", default = "x" }'), "last_url: the default is no value of the field"),
    (own('fields.loops = { type = "integer", least = 5, most = 2 }'), "fields.loops: least is larger than most"),
    (own('fields.loops = { type = "integer", least = 5, default = 4 }'), "loops: the default is no value of the field"),
    (own('fields.loops = { type = "integer", most = 5, default = 6 }'), "loops: the default is no value of the field"),
    (own("price.pixels.480p = 0"), "a/b/c, price.pixels.480p: must be greater than 0"),
    (own("price.pixels.480p = -428544"), "a/b/c, price.pixels.480p: must be greater than 0"),
    (own("files = 0"), "a/b/c, files: must be greater than 0"),
    *((files(f"{name} = 0"), f"clips.files.{name}: must be greater than 0") for name in COUNTS),
    *((files(f"{name} = -1"), f"clips.files.{name}: must be greater than 0") for name in COUNTS),
    *((files(f"{name} = [15, 2]"), f"clips.files.{name}: must be two numbers, the smaller") for name in RANGES),
    *((files(f"{name} = [-2, 15]"), f"clips.files.{name}.0: must be ") for name in RANGES),
    (files("seconds_each = [0, 0]"), "clips.files.seconds_each.1: must be greater than 0"),
    (files("seconds_total = [nan, 15]"), "clips.files.seconds_total.0: must be a finite number"),
    (own('fields.style = { type = "choice" }'), "own.toml, a/b/c, fields.style: a choice has values"),
    (own('rules = ["never"]'), "own.toml, a/b/c, rules.0: must be "),
    (own(f'aliases = ["{SEED}"]'), f"own.toml, a/b/c, aliases: {SEED} names {SEED} already"),
    (own('aliases = ["x"]') + own('aliases = ["x"]', "a/b/d"), "own.toml, a/b/d, aliases: x names a/b/c already"),
    (own(f'family_aliases = ["{SEED}"]'), f"own.toml, a/b/c, family_aliases: {SEED} names {SEED} already"),
    (
        own('family_aliases = ["x"]') + own('family_aliases = ["x"]', "a/b/d"),
        "own.toml, a/b/d, family_aliases: x names a/b/c already",
    ),
    (
        own('aliases = ["x"]\nfamily_aliases = ["x"]'),
        "own.toml, a/b/c, family_aliases: x names a/b/c already",
    ),
]


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_file_wrong_names_model_field_and_reason(text: str, message: str) -> None:
    with pytest.raises(ModelsFileError) as caught:
        with_file(text, "own.toml")

    assert message in str(caught.value)


def test_registry_default_enables_the_seed_alone() -> None:
    found = registry.build()

    assert list(found.enabled) == [SEED]
    assert found.default.id == SEED
    assert set(found.known) == set(packaged())


def test_registry_every_enables_all_known() -> None:
    found = registry.build(enabled=["*"])

    left = set(found.known) - set(found.enabled)
    assert not left
    assert set(found.enabled) - set(found.creatable) == {"bytedance/seedance-2.5/draft/complete"}
    assert next(iter(found.enabled)) == SEED


def test_registry_names_enable_models_and_the_default() -> None:
    found = registry.build(enabled=["fal-ai/" + FLASH, "seedance-3"], file=(NEW, "own.toml"))

    assert list(found.enabled) == [SEED, FLASH, "bytedance/seedance-3.0/text-to-video"]


@pytest.mark.parametrize(
    ("name", "model_id"),
    [
        (SEED, SEED),
        (f"fal-ai/{SEED}", SEED),
        ("seedance-3", "bytedance/seedance-3.0/text-to-video"),
        ("fal-ai/bytedance/seedance/v1/pro/fast/text-to-video", "fal-ai/bytedance/seedance/v1/pro/fast/text-to-video"),
        ("bytedance/seedance/v1/pro/fast/text-to-video", "fal-ai/bytedance/seedance/v1/pro/fast/text-to-video"),
        (FLASH, None),
        ("bytedance/seedance-2.0", None),
        ("", None),
    ],
)
def test_registry_finds_by_id_alias_and_namespace(name: str, model_id: str | None) -> None:
    enabled = ["seedance-3", "fal-ai/bytedance/seedance/v1/pro/fast/text-to-video"]
    model = registry.build(enabled=enabled, file=(NEW, "own.toml")).find(name)

    assert (None if model is None else model.id) == model_id


def test_registry_upstream_of_an_unknown_model_is_its_id() -> None:
    text = own('endpoint = "x/y/z"')
    found = registry.build(file=(text, "own.toml"))

    assert found.upstream("a/b/c") == "x/y/z"
    assert found.upstream("was/known/once") == "was/known/once"


CAN_ADD = f"GATEWAY_MODELS_FILE can add it to {', '.join(packaged())}"


@pytest.mark.parametrize(
    ("arguments", "setting", "fault"),
    [
        ({"default": "a/b/c"}, "fal_model", f"a/b/c is not a known model; {CAN_ADD}"),
        ({"default": COMPLETION}, "fal_model", f"{COMPLETION} cannot be the default: it completes drafts"),
        ({"enabled": ["a/b/c"]}, "models", f"a/b/c is not a known model; {CAN_ADD}"),
        ({"enabled": [SEED, ""]}, "models", f" is not a known model; {CAN_ADD}"),
        ({"file": ("x = ", "own.toml")}, "models_file", "own.toml: is not TOML: Invalid value (at end of document)"),
    ],
)
def test_registry_wrong_setting_is_named(arguments: dict[str, Any], setting: str, fault: str) -> None:
    with pytest.raises(ModelsError) as caught:
        registry.build(**arguments)

    assert (caught.value.setting, caught.value.fault) == (setting, fault)
    assert str(caught.value) == f"{setting}: {fault}"


def test_registry_rates_replace_prices_of_the_default() -> None:
    rates = dict.fromkeys(("480p", "720p", "1080p", "4k"), Decimal("0.01"))
    fast = "bytedance/seedance-2.0/fast/image-to-video"

    found = registry.build(default=fast, rates=rates)

    assert found.default.price.rates == {"480p": Decimal("0.01"), "720p": Decimal("0.01")}
    assert found.default.price.per_second == {}
    assert found.known[fast] is found.default
    assert found.known[SEED] == packaged()[SEED]


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("bytedance/seedance-2.0", {T2V, I2V, R2V}),
        ("bytedance/seedance-2.0-fast", {T2V, I2V, R2V}),
        ("bytedance/seedance-2.0-mini", {T2V, I2V, R2V}),
        ("bytedance/seedance-2.5", {T2V, I2V, R2V}),
        ("fal-ai/bytedance/seedance-2.5", {T2V, I2V, R2V}),
        ("bytedance/seedance-2.5-flash", {T2V}),
        (SEED, set()),
        ("other", set()),
    ],
)
def test_registry_family_has_a_model_of_each_kind(name: str, kinds: set[str]) -> None:
    family = registry.build().family(name)
    assert set(family) == kinds
    assert all(model.kind == kind and model.id.endswith(f"/{kind}") for kind, model in family.items())


def test_registry_family_has_the_rates_of_the_account() -> None:
    found = registry.build(rates={"720p": Decimal("0.5")})
    assert found.family("bytedance/seedance-2.0")["image-to-video"] is found.default


def test_file_model_inherits_no_name_of_another() -> None:
    base = own('endpoint = "x/y/z"\naliases = ["one"]\nfamily_aliases = ["two"]\nenabled = true\nlegacy = true')
    found = with_file(f'{base}[models."a/b/d"]\nextends = "a/b/c"\ntitle = "D"\n', "own.toml")
    model = found["a/b/d"]

    assert (model.upstream, model.aliases, model.family_aliases, model.enabled) == ("a/b/d", (), (), False)
    assert (model.title, model.legacy, model.fields) == ("D", True, found["a/b/c"].fields)


def test_file_model_has_no_price_that_is_not_known() -> None:
    text = own('price.per_second.720p = "?"\nprice.per_second.480p = "-"\nprice.per_second.4k = "2"')
    model = with_file(text, "own.toml")["a/b/c"]

    assert model.price.per_second == {"1080p": Decimal("0.682"), "4k": Decimal(2)}
    assert model.unknown == ()


def test_file_of_a_family_may_name_another_in_a_model() -> None:
    tables = own("") + own('family = "other"\n', "a/b/d")
    found = with_file(f'family = "seedance-9"\n{tables}', "own.toml")

    assert (found["a/b/c"].family, found["a/b/d"].family, found[SEED].family) == ("seedance-9", "other", "seedance-2.0")


@pytest.mark.parametrize(
    ("enabled", "model_id", "found"),
    [
        (["*"], None, COMPLETION),
        (["*"], "bytedance/seedance-2.5/text-to-video", COMPLETION),
        (["*"], SEED, None),
        (["*"], "was/known/once", COMPLETION),
        (["bytedance/seedance-2.5/text-to-video"], "bytedance/seedance-2.5/text-to-video", None),
        (None, None, None),
    ],
)
def test_registry_completion_is_of_the_family(
    enabled: list[str] | None, model_id: str | None, found: str | None
) -> None:
    """The model of a generation that is not known any more can be of any family."""
    completion = registry.build(enabled=enabled).completion_of(model_id)

    assert (None if completion is None else completion.id) == found


def test_registry_names_of_a_namespace_are_one() -> None:
    """An alias with fal's owner in front is found without it, and the other way round."""
    text = own('aliases = ["fal-ai/short"]\nfamily_aliases = ["fal-ai/family"]')
    found = registry.build(enabled=["short"], file=(text, "own.toml"))

    assert list(found.enabled) == [SEED, "a/b/c"]
    assert found.find("short") is found.find("fal-ai/short") is found.enabled["a/b/c"]
    assert found.family("family") == found.family("fal-ai/family") == {"image-to-video": found.enabled["a/b/c"]}


@pytest.mark.parametrize(("kind", "default"), [("integer", 3), ("integer", 0), ("boolean", True), ("boolean", False)])
def test_file_field_has_a_default_of_its_type(kind: str, default: object) -> None:
    text = own(f'fields.extra = {{ type = "{kind}", default = {str(default).lower()} }}')

    assert with_file(text, "own.toml")["a/b/c"].fields["extra"].default is default


def test_file_without_models_changes_nothing() -> None:
    assert with_file("", "own.toml") == with_file('family = "seedance-9"', "own.toml") == packaged()


def test_file_that_breaks_a_packaged_model_names_its_file() -> None:
    mini = "bytedance/seedance-2.0/mini/image-to-video"
    with pytest.raises(ModelsFileError) as caught:
        with_file(f'[models."{SEED}"]\nextends = "{SEED}"\naliases = ["{mini}"]\n', "own.toml")

    assert str(caught.value) == f"seedance-2.0.toml, {mini}, aliases: {mini} names {SEED} already"
