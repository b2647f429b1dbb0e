"""The JSON schemas of requests: of one model, and of all models together."""

from typing import Any, Final

from service.domain.models.forms import RequestForm
from service.domain.models.loader import packaged
from service.domain.models.model import UNSERVED_TYPES, InputField, Model

_MODEL: Final = (
    "Id of the model, see `GET /v1/models`. Default: the one of the deployment, Seedance 2.0 image-to-video if the "
    "operator has set no other. Defaults, values and required fields here are those of that model; `input_schema` of "
    "`GET /v1/models/{model_id}` has those of another one. A model that the operator has not enabled is refused with "
    "422, one that your tenant may not use with 403."
)
_OTHER: Final = " Only of models that have it."


def of_form(form: RequestForm) -> dict[str, Any]:
    """Return the schema of the requests of one model, with the values that the deployment accepts."""
    schema = form.request.model_json_schema()
    limits, properties = form.limits(), schema["properties"]
    properties["resolution"]["enum"] = list(limits.resolutions)
    if "bitrate_mode" in properties and not limits.bitrate_modes:
        del properties["bitrate_mode"]
    model = {"const": form.model.id, "description": "Id of the model.", "type": "string"}
    schema["properties"] = {"model": model, **properties}
    if not form.is_default:
        schema["required"] = ["model", *schema["required"]]
    return schema


def widen(schema: dict[str, Any]) -> None:
    """Extend the schema of ``CreateGeneration`` to the requests of all models that the gateway can serve.

    One schema, because generators of clients name the body after it: an alternative for each model would rename it.
    """
    served = [model for model in packaged().values() if model.is_served]
    properties = schema["properties"]
    for model in served:
        for name, field in model.fields.items():
            if name not in properties and field.type not in UNSERVED_TYPES:
                properties[name] = _property(field)
    seconds = properties["duration"]["anyOf"][1]
    seconds["minimum"] = min(model.shortest_seconds for model in served)
    seconds["maximum"] = max(model.longest_seconds for model in served)
    schema["required"] = [name for name in schema["required"] if all(_requires(model, name) for model in served)]
    schema["properties"] = {
        "model": {"anyOf": [{"type": "string"}, {"type": "null"}], "description": _MODEL}
    } | properties


def _requires(model: Model, name: str) -> bool:
    return name in model.fields and model.fields[name].required


def _property(field: InputField) -> dict[str, Any]:
    kinds: dict[str, dict[str, Any]] = {
        "boolean": {"type": "boolean"},
        "choice": {"type": "string", "enum": list(field.values)},
        "integer": {"type": "integer"},
    }
    kind = kinds[field.type]
    return {**kind, "description": f"{field.description or ''}{_OTHER}".strip()}
