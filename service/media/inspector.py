"""Runs inspections as child processes: bounded in number and time, without the gateway's secrets."""

import asyncio
import contextlib
import json
import os
import sys
from dataclasses import dataclass
from typing import IO, Final

from service.errors import (
    BadImage,
    ImageFormat,
    ImageTooManyPixels,
    ImageTrailingData,
    ImageTruncated,
    ImageUnreadable,
)
from service.media import formats
from service.media.formats import MAGIC_LENGTH, format_of

#: Concurrent inspections: each takes a CPU and up to a gigabyte, so more would not be faster.
_CONCURRENT: Final = 2
_SECONDS: Final = 60.0
_FAULTS: Final[dict[str, type[BadImage]]] = {
    kind.code: kind for kind in (ImageFormat, ImageTooManyPixels, ImageTrailingData, ImageTruncated, ImageUnreadable)
}
#: All of our environment that a decoder of strangers' files gets to see.
_ENVIRONMENT: Final = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT")


@dataclass(frozen=True, slots=True)
class Picture:
    content_type: str
    suffix: str
    width: int
    height: int


class Inspector:
    def __init__(self, *, most_pixels: int) -> None:
        self._most_pixels = most_pixels
        self._room = asyncio.Semaphore(_CONCURRENT)

    async def inspect(
        self, source: IO[bytes], target: IO[bytes], *, content_type: str | None = None, pointer: str = ""
    ) -> Picture:
        """Write the cleaned image to ``target``. Raises a BadImage for ``pointer``."""
        source.seek(0)
        found = format_of(source.read(MAGIC_LENGTH))
        if found is None or (content_type is not None and content_type != formats.content_type(found)):
            raise ImageFormat(f"the bytes are no {content_type or 'JPEG, PNG or WebP'}", pointer=pointer)
        source.seek(0)
        async with self._room:
            answer = await self._run(source, target)
        match answer:
            case {"code": str(code), "reason": str(reason)}:
                raise _FAULTS.get(code, ImageUnreadable)(reason, pointer=pointer)
            case {"width": int(width), "height": int(height)}:
                return Picture(formats.content_type(found), formats.SUFFIX[found], width, height)
        raise ImageUnreadable("The image cannot be decoded.", pointer=pointer)

    async def _run(self, source: IO[bytes], target: IO[bytes]) -> object:
        """Return the inspection's JSON output; None if the process died."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "service.media.inspection",
            str(self._most_pixels),
            stdin=source,
            stdout=target,
            stderr=asyncio.subprocess.PIPE,
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        )
        try:
            async with asyncio.timeout(_SECONDS):
                _, output = await process.communicate()
        except TimeoutError:
            return None
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        return _read(output) if process.returncode == 0 else None


def _read(output: bytes) -> object:
    """Parse the last line: decoders may have printed warnings before it."""
    try:
        return json.loads(output.rpartition(b"\n")[2])
    except ValueError:
        return None
