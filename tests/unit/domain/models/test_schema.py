"""JSON schemas of requests: a tenant sees the values that it may use, and one schema describes all models together."""

from typing import Any

import pytest

from service.domain.models import registry, schema
from service.domain.models.forms import RequestForms
from service.domain.models.loader import packaged, with_file
from service.domain.models.model import Model
from service.domain.models.registry import SEED
from service.domain.request import CreateGeneration
from service.domain.request_limits import RequestLimits
from service.domain.tenant import Limits

REFERENCES = "bytedance/seedance-2.0/reference-to-video"
REFERENCES_25 = "bytedance/seedance-2.5/reference-to-video"
T25 = "bytedance/seedance-2.5/text-to-video"
US25 = "bytedance/seedance-2.5/us/text-to-video"
COMPLETION = "bytedance/seedance-2.5/draft/complete"
OTHER = " Only of models that have it."
ANYTHING = {"type": "string"}


def described(
    model_id: str, limits: RequestLimits | None = None, tenant: Limits | None = None, text: str = ""
) -> dict[str, Any]:
    """``text``: a file of models."""
    forms = RequestForms(registry.build(enabled=["*"], file=(text, "own.toml")), limits or RequestLimits())
    return schema.of_form(forms.of(forms.registry.enabled[model_id]), tenant)


@pytest.mark.parametrize(
    ("model_id", "required"),
    [
        (SEED, ["prompt", "image_url"]),
        (T25, ["model", "prompt"]),
        (US25, ["model", "prompt", "duration"]),
        (REFERENCES_25, ["model"]),
    ],
)
def test_schema_requires_what_a_body_must_have(model_id: str, required: list[str]) -> None:
    found = described(model_id)

    assert found["required"] == required
    assert next(iter(found["properties"].items())) == (
        "model",
        {"const": model_id, "description": "Id of the model.", "type": "string"},
    )


def test_schema_of_a_tenant_has_its_values() -> None:
    found = described(SEED, tenant=Limits(resolutions=("480p", "4k"), durations=("4", "9", "auto")))

    assert found["properties"]["resolution"]["enum"] == ["480p"]
    assert found["properties"]["duration"]["anyOf"] == [
        {"type": "string", "enum": ["auto", "4", "9"]},
        {"type": "integer", "enum": [4, 9]},
    ]
    assert found["properties"]["duration"]["default"] == "auto"
    # The default of the resolution is refused: a body has to name another one.
    assert "default" not in found["properties"]["resolution"]
    assert found["required"] == ["prompt", "image_url", "resolution"]


def test_schema_of_a_tenant_without_the_default_duration_requires_one() -> None:
    found = described(SEED, tenant=Limits(durations=("4",)))

    assert "default" not in found["properties"]["duration"]
    assert found["required"] == ["prompt", "image_url", "duration"]


def test_schema_without_required_fields_requires_what_the_tenant_cannot_leave_out() -> None:
    found = described(REFERENCES_25, tenant=Limits(resolutions=("480p",), durations=("4",)))

    assert found["required"] == ["model", "resolution", "duration"]


def test_schema_of_a_model_with_one_duration_has_its_default() -> None:
    text = f"""
    [models."a/b/c"]
    extends = "{SEED}"
    title = "C"
    fields.duration.seconds = [5, 5]
    fields.duration.auto = false
    fields.duration.default = "5"
    """
    found = described("a/b/c", text=text)

    assert found["properties"]["duration"]["default"] == "5"
    assert found["required"] == ["model", "prompt", "image_url"]


def test_schema_of_a_tenant_with_all_values_is_the_own_of_the_model() -> None:
    own = described(SEED)

    assert described(SEED, tenant=Limits()) == own
    assert own["properties"]["resolution"]["default"] == "720p"
    assert own["properties"]["duration"]["anyOf"][1] == {"type": "integer", "minimum": 4, "maximum": 15}


@pytest.mark.parametrize(("modes", "has_mode"), [((), False), (("high",), True)])
def test_schema_has_bitrate_modes_if_the_operator_does(modes: tuple[str, ...], has_mode: bool) -> None:
    assert ("bitrate_mode" in described(SEED, RequestLimits(bitrate_modes=modes))["properties"]) is has_mode


def test_schema_of_a_completion_has_no_draft_and_no_model() -> None:
    found = described(COMPLETION)

    assert (found["title"], found["description"]) == (
        "CompleteGeneration",
        "The body of a completion, which may be missing.",
    )
    assert list(found["properties"]) == [
        "resolution",
        "webhook_url",
        "metadata",
        "priority",
        "max_cost_usd",
        "expires_in",
        "codec",
    ]
    assert found["required"] == []


def widened() -> dict[str, Any]:
    found = CreateGeneration.model_json_schema()
    schema.widen(found)
    return found


def test_schema_of_all_models_has_the_fields_of_each() -> None:
    found = widened()
    served = [model for model in packaged().values() if not model.completes_drafts]

    fields = found["properties"]
    assert next(iter(fields)) == "model"
    assert set(fields) == {"model", *CreateGeneration.model_fields} | {name for each in served for name in each.fields}
    assert "required" not in found, "no field is required of each model"
    assert list(fields["model"]) == ["anyOf", "description"]
    assert fields["model"]["anyOf"] == [ANYTHING, {"type": "null"}]
    assert (fields["duration"]["anyOf"][1], fields["duration"]["anyOf"][2]) == (
        {"type": "integer", "minimum": 2, "maximum": 30},
        ANYTHING,
    )
    assert fields["task"] == {
        "type": "string",
        "enum": ["reference", "editing", "extension"],
        "description": "Whether the files are references (default), or a video to edit or to extend." + OTHER,
    }
    assert fields["draft"] == {"type": "boolean", "description": OTHER.strip()}
    assert fields["camera_fixed"]["type"] == "boolean"
    assert fields["camera_fixed"]["description"].endswith(f".{OTHER}")
    assert fields["video_urls"] == {
        "type": "array",
        "items": ANYTHING,
        "maxItems": 10,
        "description": "Reference videos: URLs, or base64 data URIs. The prompt names them @Video1, @Video2. Their "
        "seconds are billed." + OTHER,
    }
    assert {name: fields[name]["maxItems"] for name in fields if "maxItems" in fields[name]} == {
        "image_urls": 30,
        "video_urls": 10,
        "audio_urls": 10,
    }
    # Values that Seedance 2.0 has: no other model has more.
    assert fields["resolution"]["enum"] == ["480p", "720p", "1080p", "4k"]
    assert "anyOf" not in fields["aspect_ratio"]


def widened_with(monkeypatch: pytest.MonkeyPatch, text: str, *left: str) -> dict[str, Any]:
    """Return the schema of the models of a release that has the models of a file, and these."""
    models: dict[str, Model] = dict(with_file(text, "own.toml"))
    monkeypatch.setattr(schema, "packaged", lambda: {name: models[name] for name in ("a/b/c", *left)})
    return widened()


def test_schema_of_all_models_accepts_values_of_another_model(monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"""
    [models."a/b/c"]
    extends = "{SEED}"
    title = "C"
    fields.aspect_ratio.values = ["auto", "9:21"]
    fields.loops = {{ type = "integer" }}
    """
    found = widened_with(monkeypatch, text, SEED, T25)

    ratio = found["properties"]["aspect_ratio"]
    assert ratio["anyOf"] == [
        {"type": "string", "enum": ["auto", "21:9", "16:9", "4:3", "1:1", "3:4", "9:16"]},
        ANYTHING,
    ]
    assert "enum" not in ratio
    assert found["properties"]["loops"] == {"type": "integer", "description": OTHER.strip()}
    assert found["required"] == ["prompt"]


def test_schema_of_all_models_has_the_longest_list_of_files(monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"""
    [models."a/b/c"]
    extends = "{REFERENCES}"
    title = "C"
    fields.image_urls.files.count = 50
    fields.masks = {{ type = "images", files = {{ formats = ["png"], count = 2, bytes_each = 1000 }} }}
    fields.loops = {{ type = "integer" }}
    """
    fields = widened_with(monkeypatch, text, SEED, REFERENCES)["properties"]

    assert fields["image_urls"]["maxItems"] == 50
    assert fields["masks"] == {"type": "array", "items": ANYTHING, "maxItems": 2, "description": OTHER.strip()}
    assert fields["loops"]["type"] == "integer"
