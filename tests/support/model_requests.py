"""Requests of every model, derived from its data: the smallest, the largest, and one beyond each limit."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from service.domain.field_types import IMAGE_URL_LENGTH
from service.domain.models import registry
from service.domain.models.forms import RequestForms
from service.domain.models.model import REFERENCE_TYPES, InputField, Model
from service.domain.pricing import PIXELS
from service.domain.request_limits import RequestLimits

PROMPT: Final = "sandbox:no-video a cat"
#: On fal's own CDN, for which the sandbox uses a photo of its own.
IMAGE: Final = "https://v3b.fal.media/files/b/0a8eba37/cat.jpg"
#: A file of each type of list. fal reads only the images, so the others need not exist.
FILES: Final = {"images": IMAGE, "videos": f"{IMAGE}.mp4", "audios": f"{IMAGE}.mp3"}
LIMITS: Final = RequestLimits(resolutions=tuple(PIXELS), bitrate_modes=("standard", "high"))
FORMS: Final = RequestForms(registry.build(enabled=["*"]), LIMITS)
#: Every model that a create can name. A new one is here without a change.
SERVED: Final = list(FORMS.registry.creatable.values())
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


def bare(model: Model) -> dict[str, Any]:
    """Return a body with the required fields of a model alone, each at its first value."""
    required = {name: field for name, field in served_fields(model).items() if field.required}
    return {"model": model.id, **{name: _least(field) for name, field in required.items()}}


def smallest(model: Model, **changes: Any) -> dict[str, Any]:
    """Return such a body whose prompt asks the sandbox for no video."""
    return {**bare(model), "prompt": PROMPT, **changes}


def cheapest(model: Model) -> dict[str, Any]:
    """Return a body of the shortest video at the lowest resolution, without audio."""
    changes: dict[str, Any] = {"resolution": model.resolutions[0], "duration": str(model.shortest_seconds)}
    if "generate_audio" in model.fields:
        changes["generate_audio"] = False
    return smallest(model, **changes)


def largest(model: Model) -> dict[str, Any]:
    """Return a body with every field of a model, each at its last value, and as many files as are allowed."""
    body = {"model": model.id, **{name: _most(field) for name, field in served_fields(model).items()}}
    if "task" in body:
        body["task"] = "reference"  # the other tasks force values of other fields
    return {name: value for name, value in {**body, **with_files(model, model.files)}.items() if value != []}


def with_files(model: Model, most: int | None) -> dict[str, list[str]]:
    """Return lists with as many files of each field as it may have, and not more than ``most`` in all."""
    found, free = {}, most if most is not None else 1_000
    for name, limits in model.references.items():
        count = min(limits.count or 0, free)
        found[name] = [FILES[model.fields[name].type]] * count
        free -= count
    return found


def _least(field: InputField) -> Any:
    match field.type:
        case "prompt":
            return PROMPT
        case "image":
            return IMAGE
        case "boolean" | "draft":
            return False
        case "integer":
            return field.least
        case "images" | "videos" | "audios":
            return [FILES[field.type]]
    return field.choices[0]


def _most(field: InputField) -> Any:
    match field.type:
        case "prompt":
            return PROMPT.ljust(LIMITS.prompt_characters, ".")
        case "image":
            return IMAGE.ljust(IMAGE_URL_LENGTH, "x")
        case "boolean" | "draft":
            return not field.default
        case "integer":
            return field.most
        case "images" | "videos" | "audios":
            return []  # with_files fills the lists
    return field.choices[-1]


def wrong_bodies(model: Model) -> Iterator[Wrong]:
    """Return bodies that have exactly one fault: one beyond each limit of the model."""
    valid = smallest(model)
    for name, field in served_fields(model).items():
        for title, value in _beyond(name, field).items():
            yield Wrong(f"{name} {title}", f"/{name}", {**valid, name: value})
        if field.type in REFERENCE_TYPES:
            yield from _wrong_files(model, name, field)
        if field.required:
            yield Wrong(f"{name} missing", f"/{name}", {key: value for key, value in valid.items() if key != name})
    for name, value in _of_others(model).items():
        yield Wrong(f"{name} of another model", f"/{name}", {**valid, name: value})
    yield Wrong("unknown field", "/style", {**valid, "style": "x"})
    yield from _broken_rules(model)


def _wrong_files(model: Model, name: str, field: InputField) -> Iterator[Wrong]:
    """Return one file too many, and files that are wrong. An image goes with audio, which is refused alone."""
    assert field.files is not None
    assert field.files.count is not None
    others = {each: [IMAGE] for each, other in served_fields(model).items() if other.type == "images"}
    valid, file = {**smallest(model), **others}, FILES[field.type]
    yield Wrong(f"{name} too many", f"/{name}", {**valid, name: [file] * (field.files.count + 1)})
    values = {
        "too long": file.ljust(IMAGE_URL_LENGTH + 1, "x"),
        "of wrong scheme": "ftp://example.com/a",
        "of wrong type": 5,
        "as data without base64": "data:video/mp4,AAAA",
    }
    for title, value in values.items():
        yield Wrong(f"{name} {title}", f"/{name}/1", {**valid, name: [file, value]})


def _broken_rules(model: Model) -> Iterator[Wrong]:
    """Return bodies whose fields are valid alone."""
    valid, files = smallest(model), with_files(model, None)
    if model.files is not None and sum(map(len, files.values())) > model.files:
        yield Wrong("too many files in all", "", {**valid, **with_files(model, model.files + 1)})
    if "audio_needs_image_or_video" in model.rules:
        yield Wrong("audio alone", "/audio_urls", {**valid, "audio_urls": [FILES["audios"]]})
    if "editing_forces_auto" in model.rules:
        yield Wrong("editing with a duration", "/duration", {**valid, "task": "editing", "duration": "5"})
        yield Wrong("editing with a ratio", "/aspect_ratio", {**valid, "task": "editing", "aspect_ratio": "1:1"})
    if "extension_forces_auto_aspect" in model.rules:
        yield Wrong("extension with a ratio", "/aspect_ratio", {**valid, "task": "extension", "aspect_ratio": "1:1"})
    for name in model.references:
        title = {"image_urls": "@Image", "video_urls": "@Video", "audio_urls": "@Audio"}[name]
        yield Wrong(f"{title}1 without a file", "/prompt", {**valid, "prompt": f"{title}1 walks"})


def _beyond(name: str, field: InputField) -> dict[str, Any]:
    """Return values that a field does not accept, by what is wrong with them."""
    match field.type:
        case "prompt":
            text = "x" * (LIMITS.prompt_characters + 1)
            return {"too long": text, "blank": " \n", "of wrong type": 5}
        case "image":
            text = IMAGE.ljust(IMAGE_URL_LENGTH + 1, "x")
            return {"too long": text, "of wrong scheme": "ftp://example.com/a.png", "of wrong type": 5}
        case "boolean" | "draft" | "images" | "videos" | "audios":
            return {"of wrong type": "https://example.com/a"}
        case "integer":
            assert field.least is not None
            assert field.most is not None
            return {"too small": field.least - 1, "too large": field.most + 1, "of wrong type": "x"}
        case "duration":
            return _beyond_duration(field)
    return {value: value for value in sorted(_CHOICES[name] - {*field.values})} | {"of wrong type": 5}


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
