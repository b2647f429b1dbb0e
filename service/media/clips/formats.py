"""Detects the containers of clips from their first bytes; file names and content types are ignored."""

import re
from typing import Final

from service.domain.measurement import Container
from service.media.formats import IMAGE_BRANDS

#: Bytes that decide. An MP3 needs them all: its second frame shows that the first one is no accident.
HEAD_LENGTH: Final = 8 * 1024
_QUICKTIME: Final = re.compile(rb".{4}(?:moov|mdat|wide|free|skip|pnot)", re.DOTALL)
_WAV: Final = re.compile(rb"RIFF.{4}WAVE", re.DOTALL)
#: Kilobits per second of MPEG audio layer III, by version (1, and 2 with 2.5) and index. Index 0 is "free format".
_BITRATES: Final = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
_SAMPLE_RATES: Final = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}

_CONTENT_TYPES: Final[dict[Container, str]] = {
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
}
#: Media types and suffixes of file names that clients declare.
_NAMES: Final[dict[str, Container]] = {
    **{label: container for container, label in _CONTENT_TYPES.items()},
    **{container: container for container in _CONTENT_TYPES},
    "audio/mp3": "mp3",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/vnd.wave": "wav",
    "m4v": "mp4",
    "qt": "mov",
}


def container_of(head: bytes) -> Container | None:
    """Return the container of a file that starts with ``head``; None if it is no clip that a model accepts."""
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        return None if brand in IMAGE_BRANDS else "mov" if brand == b"qt  " else "mp4"
    if _QUICKTIME.match(head):
        return "mov"
    if _WAV.match(head):
        return "wav"
    return "mp3" if head.startswith(b"ID3") or _is_mp3(head) else None


def content_type(container: Container) -> str:
    return _CONTENT_TYPES[container]


def expected(label: str, file_name: str) -> Container | None:
    """Return the container that a client declares, before its bytes are known; None if it declares none of them."""
    of_label = label.partition(";")[0].strip().lower()
    return _NAMES.get(of_label) or _NAMES.get(file_name.lower().rpartition(".")[2])


def _is_mp3(head: bytes) -> bool:
    """Return whether a frame of MPEG audio layer III begins the file, and a second one follows it."""
    length = _frame_length(head[:4])
    if not length:
        return False
    following = head[length : length + 4]
    return len(following) < 4 or _frame_length(following) > 0


def _frame_length(header: bytes) -> int:
    """Return the bytes of the frame with this header; 0 if it is none."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0 or header[1] >> 1 & 3 != 1:
        return 0
    version, bitrate, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or bitrate in (0, 15) or rate == 3:
        return 0
    is_first = version == 3
    bits = _BITRATES[0 if is_first else 1][bitrate] * 1000
    return (144 if is_first else 72) * bits // _SAMPLE_RATES[version][rate] + (header[2] >> 1 & 1)
