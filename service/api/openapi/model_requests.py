"""One schema of requests for each model, selected by ``model``.

``CreateGeneration`` remains the schema of the body: it has the fields of all models, and clients are generated from it.
Its ``if``, ``then`` and ``else`` select the exact schema of a model. Validators apply them, generators ignore them.
"""

from typing import Any, Final

from service.api.schemas import SCHEMA_REFERENCE
from service.domain.models import registry, schema
from service.domain.models.forms import RequestForm, RequestForms
from service.domain.pricing import PIXELS
from service.domain.request_limits import RequestLimits

_BODY: Final = "CreateGeneration"
#: An enumeration of one value is a constant.
_FEWEST: Final = 2


def add(schemas: dict[str, Any]) -> dict[tuple[str, ...], str]:
    """Add the schema of each model that the packaged registry can serve. Return names for its enumerations."""
    selection: dict[str, Any] = {}
    names: dict[tuple[str, ...], str] = {}
    for form in reversed(_forms()):
        made = schema.of_form(form)
        name = made["title"]
        schemas[name] = made
        chosen = {"if": _is_for(form), "then": {"$ref": SCHEMA_REFERENCE.format(model=name)}}
        selection = {**chosen, "else": selection} if selection else chosen
        names |= _enumerations(made)
    schemas[_BODY] |= selection
    return names


def _forms() -> list[RequestForm]:
    """Return the forms with every value of each model: the document is the same in every deployment."""
    limits = RequestLimits(resolutions=tuple(PIXELS), bitrate_modes=("standard", "high"))
    forms = RequestForms(registry.build(enabled=[registry.EVERY]), limits)
    return [forms.of(model) for model in forms.registry.creatable.values()]


def _is_for(form: RequestForm) -> dict[str, Any]:
    """Return the condition of a body for a model. An alias, or a model of an operator's file, selects no schema."""
    named = {"properties": {"model": {"const": form.model.id}}}
    return named if form.is_default else {**named, "required": ["model"]}


def _enumerations(made: dict[str, Any]) -> dict[tuple[str, ...], str]:
    """Return the enumerations of a model's fields with names such as ``Duration4To30``."""
    found = {}
    for field, described in made["properties"].items():
        for node in (described, *described.get("anyOf", ())):
            values = tuple(node.get("enum", ()))
            if len(values) >= _FEWEST:
                found[values] = f"{_pascal(field)}{_pascal(values[0])}To{_pascal(values[-1])}"
    return found


def _pascal(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.replace(":", "_").split("_"))
