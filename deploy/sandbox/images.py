"""Fetches the start and end images, as the model does."""

import asyncio
import base64
import binascii
import io
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import aiohttp
from PIL import Image, ImageOps, UnidentifiedImageError

from sandbox.files import SAMPLES, Files
from sandbox.outcome import Outcome, detail, model_error

MAX_BYTES = 30 * 1000 * 1000
MAX_SIDE = 8192
FORMATS = ("JPEG", "PNG", "WEBP")
TIMEOUT = aiohttp.ClientTimeout(total=15, connect=5)
#: Replaces every image on fal's own CDN, which the sandbox cannot reach.
STAND_IN = SAMPLES / "rocket.jpg"


class ImageProblemError(Exception):
    """The image cannot be fetched or decoded."""

    def __init__(self, kind: str, message: str, **ctx: Any) -> None:
        super().__init__(message)
        self.kind, self.ctx = kind, ctx

    def outcome(self, field: str, url: str) -> Outcome:
        entry = detail(self.kind, str(self), ("body", field), ctx=self.ctx, given=url[:500])
        return model_error(entry).at_once()


class Images:
    def __init__(self, files: Files) -> None:
        self._files = files

    async def load(self, url: str, base: str) -> Image.Image:
        return await asyncio.to_thread(_decode, await self._read(url, base))

    async def _read(self, url: str, base: str) -> bytes:
        if url.startswith("data:"):
            return _data_uri(url)
        if path := self._local(url, base):
            return await asyncio.to_thread(path.read_bytes)
        return await _download(url)

    def _local(self, url: str, base: str) -> Path | None:
        host = _host(url)
        if host == "fal.media" or host.endswith(".fal.media"):
            return STAND_IN
        own = f"{base}/cdn/files/"
        return self._files.find(url.removeprefix(own)) if url.startswith(own) else None


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _data_uri(url: str) -> bytes:
    head, comma, data = url.partition(",")
    try:
        content = base64.b64decode(data, validate=True) if head.endswith(";base64") else unquote_to_bytes(data)
    except binascii.Error:
        comma = ""
    if not comma:
        raise ImageProblemError("image_load_error", "Failed to decode the data URI.")
    return _limited(content)


def _limited(content: bytes) -> bytes:
    if len(content) > MAX_BYTES:
        raise ImageProblemError("file_too_large", "The file is too large.", max_size=MAX_BYTES)
    return content


async def _download(url: str) -> bytes:
    try:
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session, session.get(url) as answer:
            answer.raise_for_status()
            return _limited(await _at_most(answer.content, MAX_BYTES + 1))
    except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as error:
        raise ImageProblemError("file_download_error", "Failed to download the file from the given URL.") from error


async def _at_most(stream: aiohttp.StreamReader, size: int) -> bytes:
    content = bytearray()
    async for chunk in stream.iter_chunked(1 << 16):
        content += chunk
        if len(content) >= size:
            break
    return bytes(content)


def _decode(content: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(content))
        _check(image)
        return ImageOps.exif_transpose(image).convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageProblemError("image_load_error", "Failed to load the image: corrupted or not an image.") from error


def _check(image: Image.Image) -> None:
    if image.format not in FORMATS:
        supported = [name.lower() for name in FORMATS]
        raise ImageProblemError("unsupported_image_format", "Unsupported image format.", supported_formats=supported)
    if max(image.size) > MAX_SIDE:
        raise ImageProblemError("image_too_large", "The image is too large.", max_width=MAX_SIDE, max_height=MAX_SIDE)
