"""The body of a submit, as OpenRouter's clients send it, and the fields of ``/v1`` that it means."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator
from pydantic_core import PydanticCustomError

from service.api.dialects.sizes import fields_of as fields_of_size
from service.domain.models.forms import RequestForm
from service.domain.models.model import Kind
from service.domain.tenant import Limits
from service.errors import FieldError, Invalid

#: Keys of ``provider.options`` that are read. Members of the first are fields of ``/v1``, and unknown ones are refused.
#: The second is OpenRouter's own name of a provider of Seedance: its SDK for Python drops names that it does not know.
#: As at OpenRouter, members that the gateway does not have are dropped there.
PROVIDER: Final = "fal"
_ALIAS: Final = "byteplus"
#: Members that have the name and the meaning of a field of ``/v1``.
_SAME: Final = ("prompt", "duration", "aspect_ratio", "generate_audio", "seed")
#: Fields of ``/v1`` under another name.
_RENAMED: Final = {"callback_url": "webhook_url", "user": "end_user_id"}
_FRAMES: Final = {"first_frame": "image_url", "last_frame": "end_image_url"}
_REFERENCES: Final = {"image_url": "image_urls", "video_url": "video_urls", "audio_url": "audio_urls"}
#: Members of OpenRouter that no model of this gateway has.
_UNSUPPORTED: Final = ("creativity", "previous_job_id", "upscale_factor")
_MEANT: Final = frozenset({*_SAME, "resolution", *_FRAMES.values(), *_REFERENCES.values()})
#: Fields of the gateway.
_GATEWAY: Final = ("max_cost_usd", "metadata", "priority", "expires_in")
_SPELLINGS: Final = {"4K": "4k"}


def passthrough(form: RequestForm) -> list[str]:
    """Return the fields of ``/v1`` that the body of a submit does not have itself."""
    modes = form.limits().bitrate_modes
    own = (name for name in form.request.input_fields if name != "bitrate_mode" or modes)
    return [*sorted(name for name in own if name not in _MEANT), *_GATEWAY]


class _Member(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class OpenRouterUrl(_Member):
    url: str = Field(description="URL that fal can fetch; for an image also a base64 data URI.")


class OpenRouterFrame(_Member):
    """An image that is the first or the last frame of the video."""

    type: Literal["image_url"] = Field("image_url", description="Always `image_url`.")
    image_url: OpenRouterUrl = Field(description="The image.")
    frame_type: Literal["first_frame", "last_frame"] = Field(
        "first_frame", description="Where the image is in the video. Default: `first_frame`."
    )


class OpenRouterReference(_Member):
    """An image, a video or a sound that the video refers to."""

    type: Literal["image_url", "video_url", "audio_url"] = Field(description="Name of the member that has the URL.")
    image_url: OpenRouterUrl | None = Field(None, description="The image. Default: none.")
    video_url: OpenRouterUrl | None = Field(None, description="The video. Default: none.")
    audio_url: OpenRouterUrl | None = Field(None, description="The sound. Default: none.")

    @model_validator(mode="after")
    def _has_its_url(self) -> "OpenRouterReference":
        if getattr(self, self.type) is None:
            raise PydanticCustomError("missing_url", "needs the member that type names: {name}", {"name": self.type})
        return self

    @property
    def url(self) -> str:
        found: OpenRouterUrl = getattr(self, self.type)
        return found.url


class OpenRouterProvider(_Member):
    options: dict[str, dict[str, Any]] | None = Field(
        None,
        description=f"`{PROVIDER}` has fields of a create of the model, see `allowed_passthrough_parameters` of "
        f"`GET /openrouter/api/v1/videos/models`: `{{{PROVIDER}: {{bitrate_mode: 'high', max_cost_usd: '1.00'}}}}`. "
        f"`{_ALIAS}` means the same, and its unknown members are ignored, as are options of other providers. Default: "
        "none.",
    )


class OpenRouterCall(_Member):
    """The body of a submit. Fields of `POST /v1/generations` are accepted too, such as `max_cost_usd`."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(
        description="Id of a model, or the name of a family such as `bytedance/seedance-2.0`: without media it means "
        "text-to-video, with `frame_images` image-to-video, with `input_references` reference-to-video."
    )
    prompt: str | None = Field(None, description="What happens in the video. Default: none; most models need it.")
    duration: int | str | None = Field(
        None, description="Seconds of video. Default: that of the model, `auto` for most: it holds the longest."
    )
    resolution: str | None = Field(None, description="Such as `720p`. Default: that of the model.")
    aspect_ratio: str | None = Field(None, description="Such as `16:9`. Default: `auto`.")
    size: str | None = Field(
        None, description="Such as `1280x720`: resolution and aspect ratio in one. Default: from these two."
    )
    generate_audio: bool | None = Field(None, description="Whether the video has sound. Default: that of the model.")
    seed: int | None = Field(None, description="Seed, for models that have one. Default: none.")
    frame_images: list[OpenRouterFrame] | None = Field(
        None, description="First and last frame. With frames, `input_references` are ignored. Default: none."
    )
    input_references: list[OpenRouterReference] | None = Field(
        None, description="Media for the reference-to-video models. Default: none."
    )
    callback_url: str | None = Field(
        None, description="URL that receives the end of the job, in OpenRouter's format. Default: none."
    )
    user: str | None = Field(None, description="Your customer, as `end_user_id` on `/v1`. Default: none.")
    provider: OpenRouterProvider | None = Field(None, description="Fields of the model itself. Default: none.")
    session_id: str | None = Field(None, description="Ignored. Default: none.")
    trace: dict[str, Any] | None = Field(None, description="Ignored. Default: none.")

    @property
    def kind(self) -> Kind:
        """What the inputs ask for."""
        if self.frame_images:
            return "image-to-video"
        return "reference-to-video" if self.input_references else "text-to-video"


CALL: Final = TypeAdapter(OpenRouterCall)


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    """On ``/v1``."""
    value: Any
    given: str
    """The caller's name, with dots."""


@dataclass(frozen=True, slots=True)
class Translation:
    """The fields of a create, and how the caller has named them."""

    fields: Mapping[str, Any]
    names: Mapping[str, str]


def translate(call: OpenRouterCall, form: RequestForm, limits: Limits) -> Translation:
    """Return the fields of ``/v1`` that the body means for a model. Raises Invalid."""
    fields: dict[str, Any] = {}
    names: dict[str, str] = {} if call.frame_images else _entries(call.input_references or ())
    for field in _fields(call, form, limits):
        if field.name in fields and fields[field.name] != field.value:
            text = f"contradicts {names[field.name]}"
            raise Invalid(FieldError(f"/{field.given.replace('.', '/')}", text, "contradiction"))
        fields[field.name] = field.value
        names.setdefault(field.name, field.given)
    return Translation(fields, names)


def _fields(call: OpenRouterCall, form: RequestForm, limits: Limits) -> Iterator[_Field]:
    own = call.model_extra or {}
    if unsupported := [name for name in _UNSUPPORTED if own.get(name) is not None]:
        raise Invalid(*(FieldError(f"/{name}", f"{form.model.id} has no such field") for name in unsupported))
    yield from (_Field(name, getattr(call, name), name) for name in _SAME if getattr(call, name) is not None)
    yield from (
        _Field(name, getattr(call, given), given)
        for given, name in _RENAMED.items()
        if getattr(call, given) is not None
    )
    yield from _shape(call, form, limits)
    yield from _frames(call.frame_images) if call.frame_images else _references(call.input_references or ())
    yield from (_Field(name, value, name) for name, value in own.items() if value is not None)
    yield from _options((call.provider.options if call.provider else None) or {}, form)


def _options(options: Mapping[str, Mapping[str, Any]], form: RequestForm) -> Iterator[_Field]:
    allowed = passthrough(form)
    for provider in (PROVIDER, _ALIAS):
        for name, value in options.get(provider, {}).items():
            if provider == PROVIDER or name in allowed:
                yield _Field(name, value, f"provider.options.{provider}.{name}")


def _shape(call: OpenRouterCall, form: RequestForm, limits: Limits) -> Iterator[_Field]:
    if call.resolution is not None:
        yield _Field("resolution", _SPELLINGS.get(call.resolution, call.resolution), "resolution")
    if call.size is None:
        return
    size = _SPELLINGS.get(call.size, call.size)
    if size in form.limits().resolutions:  # the AI SDK sends its `resolution` as `size`, whatever it is
        yield _Field("resolution", size, "size")
        return
    yield from (_Field(name, value, "size") for name, value in fields_of_size(size, form, limits).items())


def _frames(frames: Iterable[OpenRouterFrame]) -> Iterator[_Field]:
    for number, frame in enumerate(frames):
        yield _Field(_FRAMES[frame.frame_type], frame.image_url.url, f"frame_images.{number}")


def _entries(references: Iterable[OpenRouterReference]) -> dict[str, str]:
    """Return the places of references in the body by those in the lists of ``/v1``."""
    counts, found = Counter[str](), dict[str, str]()
    for number, reference in enumerate(references):
        name = _REFERENCES[reference.type]
        found[f"{name}/{counts[name]}"] = f"input_references.{number}"
        counts[name] += 1
    return found


def _references(references: Iterable[OpenRouterReference]) -> Iterator[_Field]:
    urls: dict[str, list[str]] = {}
    for reference in references:
        urls.setdefault(_REFERENCES[reference.type], []).append(reference.url)
    yield from (_Field(name, found, "input_references") for name, found in urls.items())
