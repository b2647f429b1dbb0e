"""The quality of a lossy WebP, from the quantiser in the header of its frame (RFC 6386, section 9)."""

from statistics import fmean
from typing import Final

#: Of a frame whose header cannot be read.
_UNKNOWN: Final = 90
_KEY_FRAME_HEADER: Final = 10
_SEGMENTS: Final = 4
_MAP_PROBABILITIES: Final = 3
_DELTAS: Final = 8
_HIGHEST: Final = 127


def quality_of(frame: bytes) -> int:
    """Return the quality, 0 to 100, with which libwebp's encoder chooses the quantiser of this frame."""
    quantiser = _mean_quantiser(_Bits(frame[_KEY_FRAME_HEADER:]))
    if not 0 <= quantiser <= _HIGHEST:
        return _UNKNOWN
    linear = (1 - quantiser / _HIGHEST) ** 3  # libwebp: quantiser = 127 (1 - cube root of linear)
    return round(100 * (linear * 1.5 if linear < 0.5 else (linear + 1) / 2))


class _Bits:
    """Decodes bits of equal probability: the boolean decoder of RFC 6386, section 7."""

    def __init__(self, data: bytes) -> None:
        self._data = iter(data)
        self._value = self._byte() << 8 | self._byte()
        self._range = 255
        self._shifted = 0

    def flag(self) -> bool:
        split = 1 + ((self._range - 1) * 128 >> 8)
        is_set = self._value >= split << 8
        if is_set:
            self._range -= split
            self._value -= split << 8
        else:
            self._range = split
        while self._range < 128:
            self._range <<= 1
            self._value <<= 1
            self._shifted += 1
            if self._shifted == 8:
                self._shifted = 0
                self._value |= self._byte()
        return is_set

    def number(self, length: int) -> int:
        value = 0
        for _ in range(length):
            value = value << 1 | self.flag()
        return value

    def optional(self, length: int) -> int | None:
        """Read a number with a sign, if a flag says that there is one."""
        if not self.flag():
            return None
        value = self.number(length)
        return -value if self.flag() else value

    def _byte(self) -> int:
        return next(self._data, 0)


def _mean_quantiser(bits: _Bits) -> float:
    """Return the mean of the quantisers of the frame's segments: the encoder varies them around the one it is given."""
    bits.number(2)  # colour space, clamping
    quantisers: list[int] = []
    is_absolute = False
    if bits.flag():  # segments
        quantisers, is_absolute = _segments(bits)
    bits.number(1 + 6 + 3)  # the loop filter
    if bits.flag() and bits.flag():  # its adjustments
        for _ in range(_DELTAS):
            bits.optional(6)
    bits.number(2)  # partitions
    base = bits.number(7)
    return (0 if is_absolute else base) + (fmean(quantisers) if quantisers else 0)


def _segments(bits: _Bits) -> tuple[list[int], bool]:
    """Return the quantisers of the segments, and whether they are absolute or added to the frame's."""
    has_map, has_data = bits.flag(), bits.flag()
    quantisers: list[int] = []
    is_absolute = False
    if has_data:
        is_absolute = bits.flag()
        quantisers = [bits.optional(7) or 0 for _ in range(_SEGMENTS)]
        for _ in range(_SEGMENTS):
            bits.optional(6)  # of the loop filter
    if has_map:
        for _ in range(_MAP_PROBABILITIES):
            if bits.flag():
                bits.number(8)
    return quantisers, is_absolute
