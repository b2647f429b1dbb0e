"""Turns pixels of three or four samples of 16 bits, which no mode of Pillow holds.

Pillow decodes such a PNG to the high or to the low byte of each sample, as it is asked. Both are turned, and
interleaved. The rows are filtered with Pillow's arithmetic on whole images, and compressed.
"""

import zlib
from collections.abc import Iterator
from typing import Final

from PIL import Image, ImageChops
from PIL.PngImagePlugin import PngImageFile

#: Rows that share a filter, and those of them that it is chosen by.
_BAND: Final = 64
_SAMPLE: Final = 4
_SUB, _UP, _AVERAGE = 1, 2, 3
#: Cost of a filtered byte: its distance to zero, in both directions.
_COSTS: Final = tuple(min(value, 256 - value) for value in range(256))


class DeepImage:
    """A turned image. ``encoded`` compresses its rows as a PNG stores them."""

    def __init__(self, high: PngImageFile, low: PngImageFile, method: Image.Transpose) -> None:
        self._pixel = 2 * len(high.getbands())
        first, (self.width, self.height) = _turned(high, "16B", method)
        second, _ = _turned(low, "16L", method)
        samples = bytearray(2 * len(first))
        samples[0::2] = first
        samples[1::2] = second
        self._rows = Image.frombuffer("L", (self.width * self._pixel, self.height), samples, "raw", "L", 0, 1)

    def encoded(self, level: int, strategy: int) -> bytes:
        compressor = zlib.compressobj(level, strategy=strategy)
        return b"".join((*(compressor.compress(band) for band in self._bands()), compressor.flush()))

    def _bands(self) -> Iterator[bytes]:
        for top in range(0, self.height, _BAND):
            bottom = min(top + _BAND, self.height)
            sample = min(top + _SAMPLE, bottom)
            chosen = min((_SUB, _UP, _AVERAGE), key=lambda kind: _cost(self._filtered(kind, top, sample)))
            rows = Image.new("L", (self._rows.width + 1, bottom - top), chosen)
            rows.paste(self._filtered(chosen, top, bottom), (1, 0))
            yield rows.tobytes()

    def _filtered(self, kind: int, top: int, bottom: int) -> Image.Image:
        """Subtract from each byte the one a pixel before, the one above, or the mean of both; outside there is 0."""
        width = self._rows.width
        rows = self._rows.crop((0, top, width, bottom))
        before = self._rows.crop((-self._pixel, top, width - self._pixel, bottom))
        above = self._rows.crop((0, top - 1, width, bottom - 1))
        match kind:
            case 1:
                return ImageChops.subtract_modulo(rows, before)
            case 2:
                return ImageChops.subtract_modulo(rows, above)
        return ImageChops.subtract_modulo(rows, ImageChops.add(before, above, scale=2))


def _turned(image: PngImageFile, order: str, method: Image.Transpose) -> tuple[bytes, tuple[int, int]]:
    """Decode one byte of each sample: the high one in big-endian order, the low one in little-endian order."""
    image.tile = [tile._replace(args=f"{image.mode};{order}") for tile in image.tile]
    upright = image.transpose(method)
    return upright.tobytes(), upright.size


def _cost(filtered: Image.Image) -> int:
    return sum(count * cost for count, cost in zip(filtered.histogram(), _COSTS, strict=True))
