"""Rules between the fields of a request: those that a model names, its most files, and names of files in the prompt.

The values can be those of a body that is wrong elsewhere: all faults of a body are reported together.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from service.domain.models.model import FieldType, Model, Rule
from service.errors import FieldError

_AUTO: Final = "auto"
#: How a prompt names the n-th file of a list. fal counts from 1.
_REFERENCE: Final = re.compile(r"@(Image|Video|Audio)([0-9]{1,9})")
_NAMES: Final[Mapping[FieldType, str]] = {"images": "Image", "videos": "Video", "audios": "Audio"}
_MOST_NAMES: Final = 3

Values = Mapping[str, Any]
"""The fields of a request by their names. Fields that were not given may be absent or None."""


def broken_rules(model: Model, values: Values) -> list[FieldError]:
    """Return one fault for each rule that the values break."""
    files = _Files(model, values)
    faults = [fault for rule in model.rules for fault in _RULES[rule](values, files)]
    if model.files is not None and (count := files.count(*_NAMES)) > model.files:
        faults.append(FieldError("", f"must have at most {model.files} files in all, has {count}", "too_many_files"))
    return [*faults, *_missing_references(values.get("prompt"), files)]


class _Files:
    """The lists of files of a request, by the types of their fields."""

    def __init__(self, model: Model, values: Values) -> None:
        self.fields = {field.type: name for name, field in model.fields.items() if field.type in _NAMES}
        self._values = values

    def count(self, *kinds: FieldType) -> int:
        lists = [self._values.get(self.fields[kind]) for kind in kinds if kind in self.fields]
        return sum(len(files) for files in lists if isinstance(files, list))


def _missing_references(prompt: object, files: _Files) -> list[FieldError]:
    """Return a fault for each list of which the prompt names files that are not given."""
    if not files.fields or not isinstance(prompt, str) or "@" not in prompt:
        return []
    named: dict[str, set[int]] = {}
    for name, number in set(_REFERENCE.findall(prompt)):
        named.setdefault(name, set()).add(int(number))
    faults = []
    for kind, field in files.fields.items():
        count = files.count(kind)
        if missing := sorted(number for number in named.get(_NAMES[kind], ()) if not 0 < number <= count):
            names = ", ".join(f"@{_NAMES[kind]}{number}" for number in missing[:_MOST_NAMES])
            faults.append(
                FieldError("/prompt", f"names {names}, but {field} has {_counted(count)}", "missing_reference")
            )
    return faults


def _counted(count: int) -> str:
    return f"{count} file{'' if count == 1 else 's'}"


def _editing_forces_auto(values: Values, _files: _Files) -> list[FieldError]:
    return [_forced(name, "editing") for name in ("duration", "aspect_ratio") if _forces(values, "editing", name)]


def _extension_forces_auto_aspect(values: Values, _files: _Files) -> list[FieldError]:
    return [_forced("aspect_ratio", "extension")] if _forces(values, "extension", "aspect_ratio") else []


def _audio_needs_image_or_video(_values: Values, files: _Files) -> list[FieldError]:
    if not files.count("audios") or files.count("images", "videos"):
        return []
    return [FieldError(f"/{files.fields['audios']}", "needs an image or a video", "audio_alone")]


def _forces(values: Values, task: str, field: str) -> bool:
    return values.get("task") == task and values.get(field) not in (None, _AUTO)


def _forced(field: str, task: str) -> FieldError:
    return FieldError(f"/{field}", f"must be 'auto' with the task '{task}'", "forced_value")


_RULES: Final[Mapping[Rule, Callable[[Values, _Files], list[FieldError]]]] = {
    "editing_forces_auto": _editing_forces_auto,
    "extension_forces_auto_aspect": _extension_forces_auto_aspect,
    "audio_needs_image_or_video": _audio_needs_image_or_video,
}
