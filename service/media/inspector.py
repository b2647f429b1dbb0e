"""Runs inspections as child processes: bounded in number, time and memory, without the gateway's secrets."""

from dataclasses import dataclass
from typing import IO, Final

from service.errors import (
    BadImage,
    ImageFormat,
    ImageLimit,
    ImageTooManyPixels,
    ImageTrailingData,
    ImageTruncated,
    ImageUnreadable,
)
from service.media import decoder_process, formats
from service.media.confinement import CPU_SECONDS, MEMORY
from service.media.decoder_process import DecoderLimit
from service.media.decoder_slots import DecoderSlots
from service.media.dimensions import HEAD_LENGTH, pixels
from service.media.formats import Format, accepted_format

#: Work of a pixel of each format, relative to JPEG: decoding, turning and encoding again.
_WORK: Final[dict[Format, int]] = {"jpeg": 1, "png": 4, "webp": 8}
#: Most work of a small image: 16 million pixels of a JPEG, 4 of a PNG, 2 of a WebP. It takes a second of CPU.
_SMALL_WORK: Final = 16_000_000
_FAULTS: Final[dict[str, type[BadImage]]] = {
    kind.code: kind for kind in (ImageFormat, ImageTooManyPixels, ImageTrailingData, ImageTruncated, ImageUnreadable)
}


@dataclass(frozen=True, slots=True)
class _Limits:
    """Bounds of one inspection. At a bound its process ends, and its upload alone fails, with ImageLimit."""

    cpu_seconds: int
    memory: int
    seconds: float
    """On the clock: a busy machine needs longer than its CPU time."""


_SMALL: Final = _Limits(cpu_seconds=5, memory=600_000_000, seconds=20.0)
_LARGE: Final = _Limits(cpu_seconds=CPU_SECONDS, memory=MEMORY, seconds=60.0)


@dataclass(frozen=True, slots=True)
class Picture:
    content_type: str
    suffix: str
    width: int
    height: int


class Inspector:
    def __init__(self, *, most_pixels: int, most_bytes: int, slots: DecoderSlots | None = None) -> None:
        """``slots``: those of the process, if other decoders share them."""
        self._most_pixels = most_pixels
        self._most_bytes = most_bytes
        self._slots = slots or DecoderSlots()

    async def inspect(
        self,
        tenant_id: str,
        source: IO[bytes],
        target: IO[bytes],
        *,
        pointer: str = "",
    ) -> Picture:
        """Write the cleaned image to ``target``. Raises a BadImage for ``pointer``, or ImageLimit."""
        source.seek(0)
        head = source.read(HEAD_LENGTH)
        found = accepted_format(head, pointer=pointer)
        is_large = _is_large(found, head)
        source.seek(0)
        async with self._slots.slot(tenant_id, is_large=is_large):
            answer = await self._run(source, target, _LARGE if is_large else _SMALL)
        match answer:
            case {"code": ImageLimit.code, "reason": str(reason)}:
                raise ImageLimit(reason)
            case {"code": str(code), "reason": str(reason)}:
                raise _FAULTS.get(code, ImageUnreadable)(reason, pointer=pointer)
            case {"width": int(width), "height": int(height)}:
                return Picture(formats.content_type(found), formats.SUFFIX[found], width, height)
        raise ImageUnreadable("The image cannot be decoded.", pointer=pointer)

    async def _run(self, source: IO[bytes], target: IO[bytes], limits: _Limits) -> object:
        """Return the inspection's JSON output; None if the process died. Raises ImageLimit if a limit ended it."""
        arguments = (self._most_pixels, self._most_bytes, limits.cpu_seconds, limits.memory)
        try:
            return await decoder_process.run(
                "service.media.inspection", *map(str, arguments), source=source, target=target, seconds=limits.seconds
            )
        except DecoderLimit as limit:
            if limit.seconds is not None:
                raise ImageLimit(f"The inspection of the image took longer than {limit.seconds:g} seconds.") from None
            raise ImageLimit("The image takes more CPU time or memory than an inspection may.") from None


def _is_large(kind: Format, head: bytes) -> bool:
    """Return whether an inspection may take more than a second of CPU."""
    claimed = pixels(kind, head)
    return claimed is None or claimed * _WORK[kind] > _SMALL_WORK
