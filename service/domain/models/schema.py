"""The JSON schemas of requests: of one model, and of all models together."""

from collections.abc import Iterable
from typing import Any, Final

from service.domain.models.forms import RequestForm
from service.domain.models.loader import packaged
from service.domain.models.model import REFERENCE_TYPES, InputField, Model
from service.domain.request import CreateGeneration
from service.domain.tenant import Limits

_MODEL: Final = (
    "Id of the model, see `GET /v1/models`. Default: the one of the deployment, Seedance 2.0 image-to-video if the "
    "operator has set no other. Each model has a schema of its own in this document, such as "
    "`CreateBytedanceSeedance25TextToVideo`; defaults, values and required fields here are those of Seedance 2.0 "
    "image-to-video. `input_schema` of `GET /v1/models/{model_id}` has the values that the operator allows. A model "
    "that the operator has not enabled is refused with 422, one that your tenant may not use with 403."
)
_TEXT: Final = {"type": "string"}
_OTHER: Final = " Only of models that have it."
_FILES: Final = {
    "image_urls": "Reference images: URLs, or base64 data URIs. The prompt names them @Image1, @Image2.",
    "video_urls": "Reference videos: URLs, or base64 data URIs. The prompt names them @Video1, @Video2. Their seconds "
    "are billed.",
    "audio_urls": "Reference sounds: URLs, or base64 data URIs. The prompt names them @Audio1, @Audio2.",
}


def of_form(form: RequestForm, tenant: Limits | None = None) -> dict[str, Any]:
    """Return the schema of the requests of one model, with the values that the deployment accepts of the tenant."""
    if form.model.completes_drafts:
        return of_completion(form.request)
    schema = form.request.model_json_schema()
    limits, properties = form.limits(tenant), schema["properties"]
    properties["resolution"]["enum"] = list(limits.values("resolution"))
    if (durations := limits.values("duration")) != form.model.durations:
        properties["duration"] |= {"anyOf": _durations(durations)}
    _require_without_default(schema, "resolution", "duration")
    if "bitrate_mode" in properties and not limits.bitrate_modes:
        del properties["bitrate_mode"]
    model = {"const": form.model.id, "description": "Id of the model.", "type": "string"}
    schema["properties"] = {"model": model, **properties}
    if not form.is_default:
        schema["required"] = ["model", *schema.get("required", ())]
    return schema


def _durations(values: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the alternatives of a duration: texts, and the same seconds as numbers."""
    numbers = [int(value) for value in values if value.isdecimal()]
    return [{"type": "string", "enum": list(values)}, {"type": "integer", "enum": numbers}]


def _require_without_default(schema: dict[str, Any], *names: str) -> None:
    """Require the fields whose default is not accepted: a body without the field has the default."""
    for name in names:
        field = schema["properties"][name]
        if "default" in field and field["default"] not in _values(field):
            del field["default"]
            schema["required"] = [*schema.get("required", ()), name]


def of_completion(request: type[CreateGeneration], **options: Any) -> dict[str, Any]:
    """Return the schema of the body of a completion: the path names the draft. ``options``: of pydantic."""
    schema = request.model_json_schema(**options)
    schema["title"], schema["description"] = "CompleteGeneration", "The body of a completion, which may be missing."
    del schema["properties"]["draft_id"]
    schema["required"].remove("draft_id")
    return schema


def widen(schema: dict[str, Any]) -> None:
    """Extend the schema of ``CreateGeneration`` to the requests of all models that the gateway can serve.

    One schema, because generators of clients name the body after it: an alternative for each model would rename it.
    """
    served = [model for model in packaged().values() if not model.completes_drafts]
    properties = schema["properties"]
    for model in served:
        for name, field in model.fields.items():
            if field.type in REFERENCE_TYPES:
                continue
            if name not in properties:
                properties[name] = _property(field)
            elif not _values(properties[name]).issuperset(field.choices):
                _accept_text(properties[name])
    properties |= _references(served)
    seconds = properties["duration"]["anyOf"][1]
    seconds["minimum"] = min(model.shortest_seconds for model in served)
    seconds["maximum"] = max(model.longest_seconds for model in served)
    required = [name for name in schema.pop("required") if all(_requires(model, name) for model in served)]
    if required:
        schema["required"] = required
    schema["properties"] = {
        "model": {"anyOf": [{"type": "string"}, {"type": "null"}], "description": _MODEL}
    } | properties


def _values(described: dict[str, Any]) -> set[str]:
    """Return the values of a field that is an enumeration, or has one among its alternatives."""
    found = (described, *described.get("anyOf", ()))
    return {value for each in found for value in each.get("enum", [each["const"]] if "const" in each else ())}


def _accept_text(described: dict[str, Any]) -> None:
    """Accept any text next to the values of an enumeration. Each model's own schema has its values."""
    if "enum" in described:
        described["anyOf"] = [{name: described.pop(name) for name in ("type", "enum")}]
    if _TEXT not in described["anyOf"]:
        described["anyOf"].append(_TEXT)


def _requires(model: Model, name: str) -> bool:
    return name in model.fields and model.fields[name].required


def _references(models: Iterable[Model]) -> dict[str, Any]:
    """Return the lists of files, each with the most files that a model takes."""
    most: dict[str, int] = {}
    for model in models:
        for name, limits in model.references.items():
            most[name] = max(most.get(name, 0), limits.count or 0)
    items = {"type": "array", "items": {"type": "string"}}
    return {
        name: {**items, "maxItems": count, "description": f"{_FILES.get(name, '')}{_OTHER}".strip()}
        for name, count in most.items()
    }


def _property(field: InputField) -> dict[str, Any]:
    kinds: dict[str, dict[str, Any]] = {
        "boolean": {"type": "boolean"},
        "draft": {"type": "boolean"},
        "choice": {"type": "string", "enum": list(field.values)},
        "integer": {"type": "integer"},
    }
    kind = kinds[field.type]
    return {**kind, "description": f"{field.description or ''}{_OTHER}".strip()}
