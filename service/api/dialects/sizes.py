"""Sizes such as ``1280x720``, which name the resolution and the aspect ratio of a model.

The shorter side names the resolution: 720 means ``720p``. fal decides the exact pixels: at ``720p`` and ``1:1`` a video
has about as many pixels as 1280x720. So the pixels of such a video are accepted as its size too.
"""

import re
from collections.abc import Iterator
from typing import Final

from service.domain.models.forms import RequestForm
from service.domain.models.model import PIXELS
from service.domain.tenant import Limits
from service.errors import FieldError, Invalid

_SIZE: Final = re.compile(r"([1-9][0-9]{1,4}) ?[xX*] ?([1-9][0-9]{1,4})")
_RATIO: Final = re.compile(r"([1-9][0-9]?):([1-9][0-9]?)")
_LINES: Final = re.compile(r"([1-9][0-9]{2,3})p")
_SHORT_SIDES: Final = {"2k": 1440, "4k": 2160}
#: Sides are rounded: 854x480 and 864x496 are 16:9.
_RATIO_TOLERANCE: Final = 0.03
_AREA_TOLERANCE: Final = 0.06


def size_of(resolution: str, aspect_ratio: str) -> str | None:
    """Return the size of a resolution and an aspect ratio; None: the ratio is ``auto``, or one of both is unknown."""
    short, ratio = _short_side(resolution), _ratio(aspect_ratio)
    if short is None or ratio is None:
        return None
    width, height = (short * ratio, short) if ratio >= 1 else (short, short / ratio)
    return f"{_even(width)}x{_even(height)}"


def sizes_of(form: RequestForm, limits: Limits) -> dict[str, tuple[str, str]]:
    """Return the sizes of a model that the tenant may use, each with its resolution and its aspect ratio."""
    return {
        size: (resolution, ratio)
        for resolution in _resolutions(form, limits)
        for ratio in _ratios(form)
        if (size := size_of(resolution, ratio)) is not None
    }


def fields_of(size: str, form: RequestForm, limits: Limits, *, pointer: str = "/size") -> dict[str, str]:
    """Return ``resolution`` and ``aspect_ratio`` of a size. Raises Invalid at ``pointer`` if the model has no such."""
    found = _SIZE.fullmatch(size.strip())
    if found is None:
        raise Invalid(FieldError(pointer, "must be a size in pixels like 1280x720", "size_form"))
    width, height = int(found[1]), int(found[2])
    ratio = next((name for name in _ratios(form) if _has_ratio(width, height, name)), None)
    resolution = next((name for name in _resolutions(form, limits) if _has_resolution(width, height, name)), None)
    if ratio is None or resolution is None:
        raise Invalid(FieldError(pointer, _refusal(form, limits), "literal_error"))
    return {"resolution": resolution, "aspect_ratio": ratio}


def _refusal(form: RequestForm, limits: Limits) -> str:
    if not any(_ratios(form)):
        return f"{form.model.id} has no aspect ratios: send resolution instead"
    return f"must be a size of {form.model.id}: {', '.join(sizes_of(form, limits)) or 'none is allowed'}"


def _resolutions(form: RequestForm, limits: Limits) -> tuple[str, ...]:
    return form.limits(limits).values("resolution")


def _ratios(form: RequestForm) -> Iterator[str]:
    field = form.model.fields.get("aspect_ratio")
    return (value for value in (() if field is None else field.values) if _RATIO.fullmatch(value))


def _has_ratio(width: int, height: int, name: str) -> bool:
    wanted = _ratio(name)
    return wanted is not None and abs(width / height / wanted - 1) <= _RATIO_TOLERANCE


def _has_resolution(width: int, height: int, name: str) -> bool:
    if min(width, height) == _short_side(name):
        return True
    pixels = PIXELS.get(name)
    return pixels is not None and abs(width * height / pixels - 1) <= _AREA_TOLERANCE


def _short_side(resolution: str) -> int | None:
    found = _LINES.fullmatch(resolution)
    return _SHORT_SIDES.get(resolution) if found is None else int(found[1])


def _ratio(name: str) -> float | None:
    found = _RATIO.fullmatch(name)
    return None if found is None else int(found[1]) / int(found[2])


def _even(side: float) -> int:
    return round(side / 2) * 2
