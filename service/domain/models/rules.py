"""Rules between the fields of a request. A model names those that it has."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from service.domain.models.model import Model, Rule
from service.errors import FieldError

_MEDIA: Final = ("image_urls", "video_urls", "audio_urls")
_AUTO: Final = "auto"

Values = Mapping[str, Any]
"""The fields of a request by their names. Fields that were not given may be absent or None."""


def broken_rules(model: Model, values: Values) -> list[FieldError]:
    """Return one fault for each rule that the values break."""
    faults = [fault for rule in model.rules for fault in _RULES[rule](values)]
    count = sum(len(values.get(name) or ()) for name in _MEDIA)
    if model.files is not None and count > model.files:
        faults.append(FieldError("", f"must have at most {model.files} files in all, has {count}", "too_many_files"))
    return faults


def _editing_forces_auto(values: Values) -> list[FieldError]:
    return [_forced(name, "editing") for name in ("duration", "aspect_ratio") if _forces(values, "editing", name)]


def _extension_forces_auto_aspect(values: Values) -> list[FieldError]:
    return [_forced("aspect_ratio", "extension")] if _forces(values, "extension", "aspect_ratio") else []


def _audio_needs_image_or_video(values: Values) -> list[FieldError]:
    if not values.get("audio_urls") or values.get("image_urls") or values.get("video_urls"):
        return []
    return [FieldError("/audio_urls", "needs an image or a video", "audio_alone")]


def _forces(values: Values, task: str, field: str) -> bool:
    return values.get("task") == task and values.get(field) not in (None, _AUTO)


def _forced(field: str, task: str) -> FieldError:
    return FieldError(f"/{field}", f"must be 'auto' with the task '{task}'", "forced_value")


_RULES: Final[Mapping[Rule, Callable[[Values], list[FieldError]]]] = {
    "editing_forces_auto": _editing_forces_auto,
    "extension_forces_auto_aspect": _extension_forces_auto_aspect,
    "audio_needs_image_or_video": _audio_needs_image_or_video,
}
