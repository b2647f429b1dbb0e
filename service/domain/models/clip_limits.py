"""Limits that models have for clips, the video and audio files of a request, and which of them a file breaks."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from service.domain.measurement import KIND, ClipKind, Measurement
from service.domain.models.model import FieldType, MediaLimits, Model

#: Bytes of a clip whose model names no limit.
LARGEST_CLIP: Final = 200_000_000
_FIELD_TYPE: Final[Mapping[FieldType, ClipKind]] = {"videos": "video", "audios": "audio"}
#: Seconds that a clip may exceed a limit: encoders pad sound by up to two frames, and fal may count without them.
PADDING: Final = Decimal("0.1")
#: Frames per second that a rate may differ from a limit: 24 is 23.976 in films, and 60 is rounded.
_RATE_ROUNDING: Final = Decimal("0.1")


def clip_fields(model: Model) -> dict[str, ClipKind]:
    """Return the fields of a model that take clips."""
    return {name: _FIELD_TYPE[field.type] for name, field in model.fields.items() if field.type in _FIELD_TYPE}


def most_bytes(models: Iterable[Model]) -> dict[ClipKind, int]:
    """Return the bytes of the largest clip of each kind that one of the models accepts; no kind that none accepts."""
    largest: dict[ClipKind, int] = {}
    for model in models:
        for name, kind in clip_fields(model).items():
            limit = largest_clip(model.fields[name].files)
            largest[kind] = max(limit, largest.get(kind, limit))
    return largest


def largest_clip(limits: MediaLimits | None) -> int:
    """Return the most bytes of one clip of a field."""
    if limits is None:
        return LARGEST_CLIP
    return min((size for size in (limits.bytes_each, limits.bytes_total) if size is not None), default=LARGEST_CLIP)


def unusable_container(limits: MediaLimits, kind: ClipKind) -> str:
    """Return the text about a file that is no clip of this kind."""
    names = limits.formats or [name for name, its_kind in KIND.items() if its_kind == kind]
    return f"is not {' or '.join(name.upper() for name in names)}"


def broken_limit(clip: Measurement, limits: MediaLimits) -> str | None:
    """Return which limit of one file the clip breaks; None if it breaks none."""
    if limits.formats and clip.container not in limits.formats:
        return f"is {clip.container.upper()}, not {' or '.join(name.upper() for name in limits.formats)}"
    if limits.bytes_each is not None and clip.size > limits.bytes_each:
        return f"has {clip.size} bytes, more than {limits.bytes_each}"
    if limits.seconds_each is not None and not _lasts(clip.seconds, limits.seconds_each):
        return f"lasts {_text(clip.seconds)} s, not {_range(limits.seconds_each)} s"
    if clip.kind == "audio":
        return None
    return _broken_picture(clip, limits)


def broken_total(clips: Iterable[Measurement], limits: MediaLimits, *, complete: bool) -> str | None:
    """Return which limit of all files of a field the clips break; None if they break none.

    ``complete``: they are all files of the field. If some could not be measured, only the most can be broken.
    """
    measured = tuple(clips)
    size, seconds = sum(clip.size for clip in measured), sum((clip.seconds for clip in measured), Decimal(0))
    if limits.bytes_total is not None and size > limits.bytes_total:
        return f"have {size} bytes together, more than {limits.bytes_total}"
    if limits.seconds_total is None:
        return None
    least, most = limits.seconds_total
    padded = most + (len(measured) - 1) * PADDING
    if not _lasts(seconds, (least if complete else Decimal(0), padded)):
        return f"last {_text(seconds)} s together, not {_range(limits.seconds_total)} s"
    return None


def _broken_picture(clip: Measurement, limits: MediaLimits) -> str | None:
    if limits.pixels is not None and clip.width is not None and clip.height is not None:
        least, most = limits.pixels
        if not (least <= clip.width <= most and least <= clip.height <= most):
            return f"has {clip.width} x {clip.height} pixels, each side must have {least} to {most}"
    if limits.frames_per_second is not None and clip.frames_per_second is not None:
        slowest, fastest = limits.frames_per_second
        if not slowest - _RATE_ROUNDING <= clip.frames_per_second <= fastest + _RATE_ROUNDING:
            return f"has {_text(clip.frames_per_second)} frames per second, not {slowest} to {fastest}"
    return None


def _lasts(seconds: Decimal, limits: tuple[Decimal, Decimal]) -> bool:
    least, most = limits
    return least <= seconds <= most + PADDING


def _range(limits: tuple[Decimal, Decimal]) -> str:
    least, most = limits
    return f"{least} to {most}" if least else f"up to {most}"


def _text(number: Decimal) -> str:
    """Return the number without needless zeros."""
    return f"{number.normalize():f}"
