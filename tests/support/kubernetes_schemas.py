"""Validates manifests against the schemas of the API server, and of custom resources (``tests/guards/crds``)."""

import json
from pathlib import Path
from typing import Any, Final

import jsonschema
import kubernetes_validate

_CUSTOM: Final = Path(__file__).parents[1] / "guards/crds"
_KUBERNETES: Final = "1.33"


def validate(document: Any) -> None:
    """Raise ValidationError, of jsonschema or kubernetes_validate, if a field is wrong or unknown."""
    custom = _CUSTOM / f"{document['kind']}.json"
    if custom.exists():
        jsonschema.validate(document, _strict(json.loads(custom.read_text())))
    else:
        kubernetes_validate.validate(document, _KUBERNETES, strict=True)


def _strict(schema: Any) -> Any:
    """Reject unknown fields, which a server would drop."""
    if isinstance(schema, dict):
        own = {name: _strict(value) for name, value in schema.items()}
        if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
            own["additionalProperties"] = False
        return own
    return [_strict(entry) for entry in schema] if isinstance(schema, list) else schema
