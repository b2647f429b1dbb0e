"""Translates a call of the AI SDK into the fields of a create, and faults of these fields into those of the call."""

import re
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from typing_extensions import TypedDict

from service.api.dialects import sizes
from service.api.dialects.images import check_first_image
from service.api.dialects.vercel.call import VercelCall, VercelFile
from service.domain.described import described
from service.domain.models.forms import RequestForm, RequestForms
from service.domain.models.model import Kind
from service.domain.tenant import Limits
from service.errors import FieldError, Invalid

#: Frames per second of every video of Seedance.
FRAME_RATE: Final = 24
_MOST_WARNINGS: Final = 20
_LONGEST_NAME: Final = 64
_CAPITAL: Final = re.compile(r"(?<=[a-z0-9])([A-Z])")
_REFERENCES: Final = {"image": "image_urls", "video": "video_urls", "audio": "audio_urls"}
_RATIO_NAMES: Final = {"adaptive": "auto"}
#: Members of ``providerOptions`` whose members are fields of a create.
_FIELDS_OF: Final = ("fal", "bytedance")


@described
class VercelWarning(TypedDict):
    type: Literal["unsupported"]
    """Always `unsupported`: the setting was ignored."""
    feature: str
    """The setting."""
    details: str
    """Why, for people."""


#: Members of the call for fields that it does not have, but that a fault may name: required ones above all.
_NAMES: Final = {
    "image_url": "image",
    "end_image_url": "frameImages",
    "image_urls": "inputReferences",
    "video_urls": "inputReferences",
    "audio_urls": "inputReferences",
    "aspect_ratio": "aspectRatio",
    "generate_audio": "generateAudio",
    "webhook_url": "callbackUrl",
    "end_user_id": "providerOptions.gateway.user",
}


@dataclass(slots=True)
class Translation:
    """The fields of a create, and where each comes from."""

    form: RequestForm
    fields: dict[str, Any] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=lambda: {**_NAMES})
    """Members of the call by fields of the create, for errors."""
    warnings: list[VercelWarning] = field(default_factory=list)

    def set(self, name: str, value: Any, member: str) -> None:
        """Set a field; a model without the field ignores it, with a warning."""
        if value is not None and not self.has(name):
            self.warn(member, f"{self.form.model.id} does not have it.")
        else:
            self.demand(name, value, member)

    def demand(self, name: str, value: Any, member: str) -> None:
        """Set a field. A model without the field refuses it: the video would be another one than the caller means."""
        if value is not None:
            self.fields[name] = value
            self.names[name] = member

    def has(self, name: str) -> bool:
        request = self.form.request
        return name in request.model_fields and name not in request.absent

    def warn(self, feature: str, details: str) -> None:
        if len(self.warnings) < _MOST_WARNINGS:
            self.warnings.append({"type": "unsupported", "feature": feature[:_LONGEST_NAME], "details": details})


def kind_of(call: VercelCall) -> Kind:
    """Return the kind of model that the inputs of a call need."""
    if call.input_references:
        return "reference-to-video"
    return "image-to-video" if call.image is not None or call.frame_images else "text-to-video"


def translated(call: VercelCall, form: RequestForm, forms: RequestForms, limits: Limits) -> Translation:
    """Translate the call. Raises Invalid."""
    found = Translation(form)
    found.set("prompt", call.prompt, "prompt")
    _put_images(found, call)
    check_first_image(form, forms, limits, given="image_url" in found.fields, pointer="/image")
    _put_references(found, call.input_references or [])
    _put_size(found, call, limits)
    found.demand("duration", _whole(call.duration), "duration")
    found.set("seed", call.seed, "seed")
    found.set("generate_audio", call.generate_audio, "generateAudio")
    found.set("webhook_url", call.callback_url, "callbackUrl")
    if call.fps not in (None, FRAME_RATE):
        found.warn("fps", f"Videos have {FRAME_RATE} frames per second.")
    for name in call.model_extra or {}:
        found.warn(name, "The gateway does not know it.")
    _put_options(found, call.provider_options or {})
    return found


def _put_images(found: Translation, call: VercelCall) -> None:
    frames: dict[str, tuple[int, VercelFile]] = {}
    for n, frame in enumerate(call.frame_images or []):
        if frame.frame_type in frames:
            raise Invalid(FieldError(f"/frameImages/{n}/frameType", "must be given once", "repeated"))
        frames[frame.frame_type] = n, frame.image
    if "first_frame" in frames:
        n, image = frames["first_frame"]
        found.demand("image_url", image.source, f"frameImages.{n}.image")
    elif call.image is not None:
        found.demand("image_url", call.image.source, "image")
    if "last_frame" in frames:
        n, image = frames["last_frame"]
        found.demand("end_image_url", image.source, f"frameImages.{n}.image")


def _put_references(found: Translation, files: list[VercelFile]) -> None:
    for file in files:
        name = _REFERENCES[file.kind]
        found.fields.setdefault(name, []).append(file.source)


def _put_size(found: Translation, call: VercelCall, limits: Limits) -> None:
    """Set resolution and aspect ratio. A size such as 1280x720 names both, and must agree with an aspect ratio."""
    size, ratio = call.resolution, _RATIO_NAMES.get(call.aspect_ratio or "", call.aspect_ratio)
    if size is None or "x" not in size:
        found.demand("resolution", size, "resolution")
        found.set("aspect_ratio", ratio, "aspectRatio")
        return
    for name, value in sizes.fields_of(size, found.form, limits, pointer="/resolution").items():
        found.demand(name, value, "resolution")
    if ratio not in (None, "auto", found.fields["aspect_ratio"]):
        raise Invalid(
            FieldError("/aspectRatio", f"does not agree with the resolution {size[:_LONGEST_NAME]}", "conflict")
        )


def _whole(seconds: float | str | None) -> int | float | str | None:
    return int(seconds) if isinstance(seconds, float) and seconds.is_integer() else seconds


def _put_options(found: Translation, options: dict[str, Any]) -> None:
    for provider, given in options.items():
        if not isinstance(given, dict):
            found.warn(f"providerOptions.{provider}", "It is not an object.")
            continue
        for name, value in given.items():
            member = f"providerOptions.{provider}.{name}"
            if provider == "gateway" and name == "user":
                found.set("end_user_id", value, member)
            elif provider in _FIELDS_OF:
                found.set(_CAPITAL.sub(r"_\1", name).lower(), value, member)
            else:
                found.warn(member, "The gateway does not have it.")
