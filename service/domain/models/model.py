"""A model of fal as data: its endpoint, input fields, rules, outputs and price. These types check the files of models.

The types are strict: a file with a field that does not exist, or with a value of the wrong type, is refused.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

ENDPOINT_ID: Final = r"^[a-z0-9-]+/[a-z0-9.-]+(/[a-z0-9.-]+)+$"

Kind = Literal["text-to-video", "image-to-video", "reference-to-video", "completion"]
Rule = Literal["editing_forces_auto", "extension_forces_auto_aspect", "audio_needs_image_or_video"]
"""Rules between fields.

``editing_forces_auto``: with the task ``editing``, duration and aspect ratio are ``auto``.
``extension_forces_auto_aspect``: with the task ``extension``, the aspect ratio is ``auto``.
``audio_needs_image_or_video``: audio is refused without an image or a video.
"""
FieldType = Literal[
    "prompt", "image", "images", "videos", "audios", "choice", "duration", "boolean", "integer", "draft"
]
Output = Literal["video", "seed", "draft_id"]

#: Types of the fields that are lists of reference files.
REFERENCE_TYPES: Final[frozenset[FieldType]] = frozenset({"images", "videos", "audios"})

#: Most pixels of one frame, over all aspect ratios, where a model names no others. 1080p and 4k are estimates: fal
#: publishes no sizes for them.
PIXELS: Final[Mapping[str, int]] = {
    "480p": 992 * 432,
    "720p": 1112 * 834,
    "1080p": 2206 * 946,
    "4k": 4412 * 1892,
}

_Positive = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]
_Factor = Annotated[Decimal, Field(gt=0, le=1, allow_inf_nan=False)]
_Count = Annotated[int, Field(gt=0)]
_Name = Annotated[str, Field(pattern=r"^[a-z][a-z_]*$")]
_Alias = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9./-]*$")]


def _wrong(text: str) -> PydanticCustomError:
    return PydanticCustomError("definition", text)


def _ordered(pair: tuple[Any, Any]) -> tuple[Any, Any]:
    if pair[0] > pair[1]:
        raise _wrong("must be two numbers, the smaller one first")
    return pair


_Seconds = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
_SecondsRange = Annotated[tuple[_Seconds, _Positive], AfterValidator(_ordered)]
_CountRange = Annotated[tuple[_Count, _Count], AfterValidator(_ordered)]


class Table(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class InputField(Table):
    """An input field: its type, whether callers must give it, its default, its values or limits."""

    type: FieldType
    required: bool = False
    default: str | bool | int | None = None
    """Left out: fal chooses, or the caller must decide (``required``)."""
    values: tuple[str, ...] = ()
    """Of a ``choice``."""
    seconds: tuple[int, int] | None = None
    """Of a ``duration``: the shortest and the longest."""
    auto: bool = False
    """Of a ``duration``: whether fal can choose it. The price of ``auto`` is that of the longest."""
    least: int | None = None
    most: int | None = None
    """Bounds of an ``integer``."""
    description: str | None = None
    files: "MediaLimits | None" = None
    """Of an image, and of lists of media."""

    @property
    def choices(self) -> tuple[str, ...]:
        if self.seconds is None:
            return self.values
        first, last = self.seconds
        return (*(("auto",) if self.auto else ()), *map(str, range(first, last + 1)))

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        if (self.type == "choice") != bool(self.values):
            raise _wrong("a choice has values, and no other type has")
        if (self.type == "duration") != (self.seconds is not None):
            raise _wrong("a duration has seconds, and no other type has")
        if self.seconds is not None and not 0 < self.seconds[0] <= self.seconds[1] <= _LONGEST_VIDEO:
            raise _wrong(f"seconds must be two numbers from 1 to {_LONGEST_VIDEO}, the smaller one first")
        if self.least is not None and self.most is not None and self.least > self.most:
            raise _wrong("least is larger than most")
        if self.required and self.default is not None:
            raise _wrong("a required field has no default")
        if self.default is not None and not self._is_value(self.default):
            raise _wrong("the default is no value of the field")
        if self.type in REFERENCE_TYPES and (self.files is None or self.files.count is None):
            raise _wrong("a list of files needs their most, as files.count")
        if self.type == "videos" and (self.files is None or self.files.longest_seconds is None):
            raise _wrong("videos need files.seconds_total or files.seconds_each: their seconds are billed")
        return self

    def _is_value(self, value: object) -> bool:
        match self.type:
            case "boolean":
                return isinstance(value, bool)
            case "integer":
                return type(value) is int and not (
                    (self.least is not None and value < self.least) or (self.most is not None and value > self.most)
                )
            case "choice" | "duration":
                return value in self.choices
        return False


_LONGEST_VIDEO: Final = 600


class MediaLimits(Table):
    """Limits of the files of a field. Two numbers are the least and the most; absent: fal names no limit."""

    formats: tuple[str, ...] = ()
    count: _Count | None = None
    bytes_each: _Count | None = None
    bytes_total: _Count | None = None
    seconds_each: _SecondsRange | None = None
    seconds_total: _SecondsRange | None = None
    pixels: _CountRange | None = None
    """Of each side."""
    frames_per_second: _CountRange | None = None

    @property
    def longest_seconds(self) -> Decimal | None:
        """Most seconds of all files together; None: fal names no limit."""
        limits = [self.seconds_total[1]] if self.seconds_total is not None else []
        if self.seconds_each is not None and self.count is not None:
            limits.append(self.seconds_each[1] * self.count)
        return min(limits, default=None)

    @property
    def shortest_seconds(self) -> Decimal:
        """Fewest seconds of all files together, if there is a file."""
        least = (limit[0] for limit in (self.seconds_total, self.seconds_each) if limit is not None)
        return max(least, default=Decimal(0))


class Price(Table):
    """What a video costs: the rate of fal's formula, and the price per second that fal publishes."""

    unit_tokens: int = Field(default=1000, gt=0)
    """Tokens of one billed unit."""
    rates: dict[str, _Positive]
    """US dollars per unit, by resolution."""
    per_second: dict[str, _Positive] = {}
    """US dollars per second as published, by resolution. It can exceed the formula: the higher one is held."""
    silent_factor: _Factor = Decimal(1)
    """Factor of the rate without audio."""
    video_input_factor: _Factor = Decimal(1)
    """Factor of the price with a video among the inputs, whose seconds are billed too."""
    pixels: dict[str, _Count] = dict(PIXELS)
    """Most pixels of one frame, by resolution, over all aspect ratios."""


class Model(Table):
    id: Annotated[str, Field(pattern=ENDPOINT_ID)]
    family: str
    kind: Kind
    title: str
    endpoint: Annotated[str | None, Field(pattern=ENDPOINT_ID)] = None
    """The endpoint id at fal; absent: ``id``."""
    aliases: tuple[_Alias, ...] = ()
    family_aliases: tuple[_Alias, ...] = ()
    """Names without a kind. Models of other kinds have the same: the inputs of a request select one of them."""
    enabled: bool = False
    """Whether it is on without ``GATEWAY_MODELS``."""
    legacy: bool = False
    fields: dict[_Name, InputField]
    """Input fields of fal's endpoint. Fields of the gateway are not among them."""
    unknown: tuple[str, ...] = ()
    """Fields and resolutions that are off: it is not known whether the model has them, or at which price."""
    files: _Count | None = None
    """Most files in all fields."""
    rules: tuple[Rule, ...] = ()
    output: tuple[Output, ...] = ("video", "seed")
    price: Price

    @property
    def upstream(self) -> str:
        """The endpoint id at fal to which requests are submitted."""
        return self.endpoint or self.id

    @property
    def references(self) -> Mapping[str, MediaLimits]:
        """The fields that are lists of files, and their limits."""
        return {
            name: field.files
            for name, field in self.fields.items()
            if field.type in REFERENCE_TYPES and field.files is not None
        }

    @property
    def has_rules(self) -> bool:
        """Whether fields that are valid alone can be wrong together."""
        return bool(self.rules or self.files is not None or self.references)

    @property
    def input_videos(self) -> MediaLimits | None:
        """The limits of the input videos, whose seconds are billed; None: the model takes no videos."""
        return next((field.files for field in self.fields.values() if field.type == "videos"), None)

    @property
    def completes_drafts(self) -> bool:
        """Whether its requests name a draft. They have a route of their own."""
        return self.kind == "completion"

    @property
    def resolutions(self) -> tuple[str, ...]:
        """The resolutions whose price is known."""
        return tuple(value for value in self.fields["resolution"].choices if value in self.price.rates)

    @property
    def durations(self) -> tuple[str, ...]:
        return self.fields["duration"].choices

    @property
    def longest_seconds(self) -> int:
        """What ``auto`` counts as."""
        seconds = self.fields["duration"].seconds
        return _LONGEST_VIDEO if seconds is None else seconds[1]

    @property
    def shortest_seconds(self) -> int:
        seconds = self.fields["duration"].seconds
        return 1 if seconds is None else seconds[0]

    @model_validator(mode="after")
    def _can_be_priced(self) -> Self:
        for name, kind in (("resolution", "choice"), ("duration", "duration")):
            if name not in self.fields or self.fields[name].type != kind:
                raise _wrong(f"needs the field {name} of the type {kind}: it decides the price")
        offered = self.fields["resolution"].choices
        if unpriced := [value for value in offered if value not in self.price.rates and value not in self.unknown]:
            raise _wrong(f"has no rate for {', '.join(unpriced)}")
        if (default := self.fields["resolution"].default) is not None and default not in self.resolutions:
            raise _wrong(f"has no rate for the default resolution {default}")
        if unsized := [value for value in self.resolutions if value not in self.price.pixels]:
            raise _wrong(f"has no pixels for {', '.join(unsized)}")
        return self
