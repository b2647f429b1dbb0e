"""The body of a video call, as ``@ai-sdk/gateway`` sends it. The names of its members are those of the AI SDK."""

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from service.api.dialects.images import base64_uri


def _one(value: int) -> int:
    if value != 1:
        raise PydanticCustomError("one_video", "must be 1: a call makes one video; send one call for each video")
    return value


class _Member(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)


class VercelFile(_Member):
    """An image, a video or a sound: at a URL, or in the body."""

    type: Literal["url", "file"] = Field(description="`url`: the file is at `url`. `file`: its bytes are in `data`.")
    url: str | None = Field(None, description="URL of the file. Default: none.")
    data: str | None = Field(None, description="The bytes in base64. Default: none.")
    media_type: str | None = Field(
        None,
        description="Media type: `image/…`, `video/…` or `audio/…`. Default: an image.",
    )

    @model_validator(mode="after")
    def _has_content(self) -> "VercelFile":
        if (self.url if self.type == "url" else self.data) is None:
            raise PydanticCustomError("file_content", "needs url with type url, or data with type file")
        return self

    @property
    def source(self) -> str:
        """Return the URL, or the file as a data URI."""
        if self.type == "url":
            return self.url or ""
        return base64_uri(self.data or "")

    @property
    def kind(self) -> str:
        """Return ``image``, ``video`` or ``audio``; what has no media type is an image."""
        kind = (self.media_type or "").partition("/")[0].lower()
        return kind if kind in ("video", "audio") else "image"


class VercelFrame(_Member):
    """An image that is the first or the last frame of the video."""

    image: VercelFile = Field(description="The image.")
    frame_type: Literal["first_frame", "last_frame"] = Field(description="Where the image is in the video.")


class VercelCall(_Member):
    """The body of a video call of the AI SDK. Members with another name are ignored, with a warning."""

    model_config = ConfigDict(extra="allow")

    prompt: str | None = Field(None, description="What happens in the video. Default: none.")
    n: Annotated[int, AfterValidator(_one)] = Field(1, description="Number of videos, always 1. Default: 1.")
    aspect_ratio: str | None = Field(
        None, description="Shape of the video, such as `16:9`; `adaptive` means the model's `auto`. Default: `auto`."
    )
    resolution: str | None = Field(
        None,
        description="Size of the video, such as `1280x720`, or the model's name of it, such as `720p`. Default: that "
        "of the model.",
    )
    duration: int | float | str | None = Field(None, description="Seconds of the video. Default: that of the model.")
    fps: float | None = Field(None, description="Ignored: videos have 24 frames per second. Default: none.")
    seed: int | None = Field(None, description="Seed, for models that have one. Default: none.")
    generate_audio: bool | None = Field(None, description="Whether the video has sound. Default: that of the model.")
    image: VercelFile | None = Field(None, description="The image that the video starts from. Default: none.")
    frame_images: list[VercelFrame] | None = Field(
        None, description="First and last frame; a first frame is used in place of `image`. Default: none."
    )
    input_references: list[VercelFile] | None = Field(
        None, description="Images, videos and sounds for the reference-to-video models. Default: none."
    )
    provider_options: dict[str, Any] | None = Field(
        None,
        description="`gateway.user` is the end user. `fal` and `bytedance` have any fields of a create of the model, "
        "such as `{fal: {bitrate_mode: 'high', max_cost_usd: '1.00'}}`. Default: none.",
    )
    callback_url: str | None = Field(
        None, description="URL that receives the event of the end, as `webhook_url` of a create. Default: none."
    )


class VercelOperation(_Member):
    id: str = Field(description="Id of the generation.")


class VercelStatusCall(_Member):
    """The body of a status call."""

    operation: VercelOperation = Field(description="`operation` of the start.")


CALL: Final = TypeAdapter(VercelCall)
STATUS_CALL: Final = TypeAdapter(VercelStatusCall)
