"""Test images: rotated, with a location, too large, truncated, of another format than declared."""

import io
import struct
import zlib
from typing import Any, Final

import numpy as np
from PIL import Image

GPS: Final = 0x8825
ORIENTATION: Final = 0x0112
DESCRIPTION: Final = 0x010E
SECRET: Final = "taken at home, 48.1374 N"


def picture(width: int = 60, height: int = 40) -> Image.Image:
    """Return an image with a red left half and a blue right half, so that its rotation is visible."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = 255
    pixels[:, width // 2 :, 2] = 255
    return Image.fromarray(pixels)


def noise(width: int, height: int) -> Image.Image:
    """Return an image that hardly compresses."""
    return Image.fromarray(np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8))


def encoded(kind: str = "jpeg", image: Image.Image | None = None, **options: Any) -> bytes:
    written = io.BytesIO()
    (image or picture()).save(written, kind.upper(), **options)
    return written.getvalue()


def exif(*, orientation: int = 1) -> bytes:
    """Return metadata with a location and a text."""
    found = Image.Exif()
    found[ORIENTATION] = orientation
    found[DESCRIPTION] = SECRET
    found[GPS] = {1: "N", 2: (48.0, 8.0, 14.6), 3: "E", 4: (11.0, 34.0, 31.0)}
    return found.tobytes()


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def chunk(name: bytes, body: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that declares this many pixels and contains a few bytes of them."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\x00" * 1000)) + chunk(b"IEND", b"")


def segment(marker: int, body: bytes) -> bytes:
    """Return a segment of a JPEG."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body
