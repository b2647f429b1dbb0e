"""Frames of the video: a slow zoom and pan over the start image, dissolving into the end image.

Works on the planes of yuv420p directly: half the pixels of RGB, and no conversion per frame.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from sandbox.dimensions import Dimensions

ZOOM = 0.14
#: The dissolve fills this last part of the video.
DISSOLVE = 0.45

Plane = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class View:
    """The visible part of the picture: `scale` of each side, at `x`, `y` (0..1) of the remaining space."""

    scale: float
    x: float
    y: float

    def box(self, plane: Image.Image) -> tuple[float, float, float, float]:
        width, height = plane.width * self.scale, plane.height * self.scale
        left, top = (plane.width - width) * self.x, (plane.height - height) * self.y
        return left, top, left + width, top + height


class Picture:
    """A still, cropped to cover the frame, as three planes."""

    def __init__(self, image: Image.Image, size: tuple[int, int]) -> None:
        cover = ImageOps.fit(image, size, Image.Resampling.LANCZOS)
        still: Any = av.VideoFrame  # its type hints are incomplete
        frame = still.from_image(cover).reformat(format="yuv420p", dst_colorspace="ITU709")
        stacked = frame.to_ndarray()
        self._planes = [Image.fromarray(plane) for plane in _split(stacked, size)]

    def seen(self, view: View) -> list[Image.Image]:
        if view.scale >= 1:
            return self._planes
        return [plane.resize(plane.size, Image.Resampling.BILINEAR, view.box(plane)) for plane in self._planes]


def _split(stacked: Plane, size: tuple[int, int]) -> list[Plane]:
    width, height = size
    flat = stacked.reshape(-1)
    luma, chroma = width * height, (width // 2) * (height // 2)
    quarter = (height // 2, width // 2)
    return [
        flat[:luma].reshape(height, width),
        flat[luma : luma + chroma].reshape(quarter),
        flat[luma + chroma :].reshape(quarter),
    ]


def ease(position: float) -> float:
    """Map 0..1 to 0..1 with a slow start and end."""
    bounded = min(1.0, max(0.0, position))
    return bounded * bounded * (3 - 2 * bounded)


def frames(start: Image.Image, end: Image.Image | None, dimensions: Dimensions) -> Iterator[Plane]:
    """One yuv420p array per frame; the first is the start image, the last the end image if there is one."""
    size = (dimensions.width, dimensions.height)
    first = Picture(start, size)
    last = Picture(end, size) if end else None
    for number in range(dimensions.frames):
        yield _frame(first, last, number / (dimensions.frames - 1))


def _frame(first: Picture, last: Picture | None, position: float) -> Plane:
    share = ease((position - 1 + DISSOLVE) / DISSOLVE) if last else 0.0
    travelled = ease(position)
    planes = first.seen(View(1 - ZOOM * travelled, 0.35, 0.4))
    if last and share > 0:
        arriving = last.seen(View(1 - ZOOM * (1 - travelled), 0.65, 0.6))
        planes = [Image.blend(a, b, share) for a, b in zip(planes, arriving, strict=True)]
    return np.concatenate([np.asarray(plane).reshape(-1) for plane in planes])
