"""Lengths that the containers of clips state: FFmpeg reads what there is, and ignores the header of an MP4."""

import os
import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import IO, Final

from service.domain.measurement import Container
from service.errors import ClipTruncated, ClipUnreadable

#: Boxes and chunks at the top of a file. A fragmented video of 30 s has some hundred.
_MOST_PARTS: Final = 10_000
#: Boxes without which a video is incomplete. Others may be what a camera has appended.
_ESSENTIAL: Final = frozenset((b"moov", b"mdat", b"moof"))
#: Lengths from here are written by programs that do not know the length, since they cannot go back.
_UNKNOWN_LENGTH: Final = 0x7FFF_0000


def stated_seconds(container: Container, file: IO[bytes], size: int) -> Fraction:
    """Return the seconds in the header of the whole file; 0 if it states none.

    Raises ClipTruncated or ClipUnreadable if the file ends before its parts do, or has no index.
    """
    try:
        if container in ("mp4", "mov"):
            return _movie_seconds(file, _index(file, size))
        if container == "wav":
            _check_chunks(file, size)
    except struct.error:
        raise ClipTruncated("The file ends early.") from None
    return Fraction(0)


def _index(file: IO[bytes], size: int) -> int:
    """Follow the boxes of an MP4 or MOV (ISO/IEC 14496-12, 4.2). Return where the index begins."""
    places: dict[bytes, int] = {}
    for at, length, name in _boxes(file, size):
        if length < 8:
            raise ClipUnreadable("A box of the video has an impossible length.")
        if at + length > size:
            if name in _ESSENTIAL or b"moov" not in places:
                raise ClipTruncated("The video ends before its last box.")
            break
        places[name] = at
    if b"moov" not in places:
        raise ClipTruncated("The video has no index (moov box).")
    if not places.keys() & {b"mdat", b"moof"}:
        raise ClipTruncated("The video has no data (mdat box).")
    return places[b"moov"]


def _boxes(file: IO[bytes], size: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield place, length and name of each box at the top of the file."""
    at = 0
    for _ in range(_MOST_PARTS):
        if at + 8 > size:
            return
        file.seek(at)
        length, name = struct.unpack(">I4s", file.read(8))
        if length == 1:
            (length,) = struct.unpack(">Q", file.read(8))
        length = length or size - at  # zero: up to the end of the file
        yield at, length, name
        at += length
    raise ClipUnreadable(f"The video has more than {_MOST_PARTS} boxes.")


def _movie_seconds(file: IO[bytes], index: int) -> Fraction:
    """Return the duration of the movie header, the first box of the index (ISO/IEC 14496-12, 8.2.2)."""
    file.seek(index + 8)
    name, version = struct.unpack(">4x4sB", file.read(9))
    if name != b"mvhd":
        return Fraction(0)
    file.seek(3 + (16 if version else 8), os.SEEK_CUR)
    scale, duration = struct.unpack(">IQ" if version else ">II", file.read(12 if version else 8))
    is_unknown = duration in (0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF)
    return Fraction(0) if is_unknown or not scale else Fraction(duration, scale)


def _check_chunks(file: IO[bytes], size: int) -> None:
    """Find the samples of a WAV file."""
    at = 12
    for _ in range(_MOST_PARTS):
        if at + 8 > size:
            break
        file.seek(at)
        name, length = struct.unpack("<4sI", file.read(8))
        if name == b"data":
            if length < _UNKNOWN_LENGTH and at + 8 + length > size:
                raise ClipTruncated(f"The WAV states {length} bytes of sound, and has {size - at - 8}.")
            return
        at += 8 + length + length % 2
    raise ClipTruncated("The WAV has no sound (data chunk).")
