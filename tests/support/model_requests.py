"""Requests of every model, derived from its data: the smallest, the largest, and one beyond each limit."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from service.domain.models import registry
from service.domain.models.forms import RequestForms
from service.domain.models.model import InputField, Model
from service.domain.pricing import PIXELS
from service.domain.request import IMAGE_URL_LENGTH, RequestLimits

PROMPT: Final = "sandbox:no-video a cat"
#: On fal's own CDN, for which the sandbox uses a photo of its own.
IMAGE: Final = "https://v3b.fal.media/files/b/0a8eba37/cat.jpg"
LIMITS: Final = RequestLimits(resolutions=tuple(PIXELS), bitrate_modes=("standard", "high"))
FORMS: Final = RequestForms(registry.build(enabled=["*"]), LIMITS)
#: Every model that can be enabled. A new one is here without a change.
SERVED: Final = list(FORMS.registry.enabled.values())
#: Every value of every choice of any model.
_CHOICES: Final = {
    name: {value for model in SERVED if name in model.fields for value in model.fields[name].values} | {"none-such"}
    for name in {name for model in SERVED for name, field in model.fields.items() if field.type == "choice"}
}


@dataclass(frozen=True, slots=True)
class Wrong:
    """A body with one fault, and where the fault is."""

    title: str
    pointer: str
    body: dict[str, Any]


def served_fields(model: Model) -> dict[str, InputField]:
    """Return the input fields that callers can give."""
    return {name: model.fields[name] for name in FORMS.of(model).request.input_fields}


def smallest(model: Model, **changes: Any) -> dict[str, Any]:
    """Return a body with the required fields of a model alone, each at its first value."""
    required = {name: field for name, field in served_fields(model).items() if field.required}
    return {"model": model.id, **{name: _least(field) for name, field in required.items()}, **changes}


def cheapest(model: Model) -> dict[str, Any]:
    """Return a body of the shortest video at the lowest resolution, without audio."""
    changes: dict[str, Any] = {"resolution": model.resolutions[0], "duration": str(model.shortest_seconds)}
    if "generate_audio" in model.fields:
        changes["generate_audio"] = False
    return smallest(model, **changes)


def largest(model: Model) -> dict[str, Any]:
    """Return a body with every field of a model, each at its last value."""
    return {"model": model.id, **{name: _most(field) for name, field in served_fields(model).items()}}


def _least(field: InputField) -> Any:
    match field.type:
        case "prompt":
            return PROMPT
        case "image":
            return IMAGE
        case "boolean":
            return False
        case "integer":
            return field.least
    return field.choices[0]


def _most(field: InputField) -> Any:
    match field.type:
        case "prompt":
            return PROMPT.ljust(LIMITS.prompt_characters, ".")
        case "image":
            return IMAGE.ljust(IMAGE_URL_LENGTH, "x")
        case "boolean":
            return not field.default
        case "integer":
            return field.most
    return field.choices[-1]


def wrong_bodies(model: Model) -> Iterator[Wrong]:
    """Return bodies that have exactly one fault: one beyond each limit of the model."""
    valid = smallest(model)
    for name, field in served_fields(model).items():
        for title, value in _beyond(name, field).items():
            yield Wrong(f"{name} {title}", f"/{name}", {**valid, name: value})
        if field.required:
            yield Wrong(f"{name} missing", f"/{name}", {key: value for key, value in valid.items() if key != name})
    for name, value in _of_others(model).items():
        yield Wrong(f"{name} of another model", f"/{name}", {**valid, name: value})
    yield Wrong("unknown field", "/style", {**valid, "style": "x"})


def _beyond(name: str, field: InputField) -> dict[str, Any]:
    """Return values that a field does not accept, by what is wrong with them."""
    match field.type:
        case "prompt":
            text = "x" * (LIMITS.prompt_characters + 1)
            return {"too long": text, "blank": " \n", "of wrong type": 5}
        case "image":
            text = IMAGE.ljust(IMAGE_URL_LENGTH + 1, "x")
            return {"too long": text, "of wrong scheme": "ftp://example.com/a.png", "of wrong type": 5}
        case "boolean":
            return {"of wrong type": "perhaps"}
        case "integer":
            assert field.least is not None
            assert field.most is not None
            return {"too small": field.least - 1, "too large": field.most + 1, "of wrong type": "x"}
        case "duration":
            return _beyond_duration(field)
        case "choice":
            return {f"{value}": value for value in sorted(_CHOICES[name] - {*field.values})} | {"of wrong type": 5}
    raise AssertionError(field.type)


def _beyond_duration(field: InputField) -> dict[str, Any]:
    assert field.seconds is not None
    first, last = field.seconds
    values: dict[str, Any] = {
        "too short": str(first - 1),
        "too long": str(last + 1),
        "too short as a number": first - 1,
        "too long as a number": last + 1,
        "with its unit": f"{first}s",
        "with a fraction": f"{first}.5",
        "of wrong type": [str(first)],
    }
    return values if field.auto else {**values, "auto": "auto"}


def _of_others(model: Model) -> dict[str, Any]:
    """Return a value of each field that other models have, and this one has not."""
    return {
        name: _least(field)
        for other in SERVED
        for name, field in served_fields(other).items()
        if name not in model.fields and _least(field) is not False
    }
