"""Pixel sizes and tokens of a video.

16:9 sizes are published; the others are derived to about the same pixel count, as ByteDance does.
"""

from dataclasses import dataclass
from decimal import Decimal

FRAMES_PER_SECOND = 24

SIZES: dict[str, dict[str, tuple[int, int]]] = {
    "480p": {
        "21:9": (992, 432),
        "16:9": (864, 496),
        "4:3": (752, 560),
        "1:1": (640, 640),
        "3:4": (560, 752),
        "9:16": (496, 864),
    },
    "720p": {
        "21:9": (1470, 630),
        "16:9": (1280, 720),
        "4:3": (1112, 834),
        "1:1": (960, 960),
        "3:4": (834, 1112),
        "9:16": (720, 1280),
    },
    "1080p": {
        "21:9": (2206, 946),
        "16:9": (1920, 1080),
        "4:3": (1664, 1248),
        "1:1": (1440, 1440),
        "3:4": (1248, 1664),
        "9:16": (1080, 1920),
    },
    "4k": {
        "21:9": (4412, 1892),
        "16:9": (3840, 2160),
        "4:3": (3328, 2496),
        "1:1": (2880, 2880),
        "3:4": (2496, 3328),
        "9:16": (2160, 3840),
    },
}

AUTO_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Dimensions:
    width: int
    height: int
    seconds: int

    @property
    def frames(self) -> int:
        return self.seconds * FRAMES_PER_SECOND

    def tokens(self, input_seconds: Decimal = Decimal(0)) -> Decimal:
        """Return the billed tokens: one frame more than fal's published formula, and the seconds of input videos."""
        frames = self.frames + input_seconds * FRAMES_PER_SECOND + 1
        return self.width * self.height * frames / 1024


def dimensions(resolution: str, aspect_ratio: str, duration: str, image_size: tuple[int, int] = (16, 9)) -> Dimensions:
    sizes = SIZES[resolution]
    ratio = nearest_ratio(image_size, sizes) if aspect_ratio == "auto" else aspect_ratio
    return Dimensions(*sizes[ratio], AUTO_SECONDS if duration == "auto" else int(duration))


def nearest_ratio(image_size: tuple[int, int], sizes: dict[str, tuple[int, int]]) -> str:
    width, height = image_size

    def stretch(ratio: str) -> float:
        across, down = sizes[ratio]
        quotient = width * down / (height * across)
        return max(quotient, 1 / quotient)

    return min(sizes, key=stretch)
