"""Sizes from the first bytes, compared with those that Pillow reads."""

import struct

import pytest

from service.media.dimensions import HEAD_LENGTH, pixels
from service.media.formats import Format
from tests.support import pictures


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("jpeg", pictures.encoded("jpeg")),
        ("jpeg", pictures.encoded("jpeg", progressive=True, exif=pictures.exif(), icc_profile=b"x" * 60_000)),
        ("png", pictures.encoded("png")),
        ("webp", pictures.encoded("webp")),
        ("webp", pictures.encoded("webp", lossless=True)),
        ("webp", pictures.encoded("webp", exif=pictures.exif())),
    ],
    ids=["jpeg", "progressive", "png", "webp", "lossless", "extended"],
)
def test_pixels_of_head(kind: Format, content: bytes) -> None:
    assert pixels(kind, content[:HEAD_LENGTH]) == 60 * 40


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
@pytest.mark.parametrize("length", [12, 15, 20])
def test_pixels_of_short_head_are_unknown(kind: Format, length: int) -> None:
    assert pixels(kind, pictures.encoded(kind)[:length]) is None


@pytest.mark.parametrize(
    "head",
    [b"\xff" * HEAD_LENGTH, b"\xff\xd8" + b"\xff\xe1\x00\x00" * 60_000, b"\xff\xd8\xff\xe1" + struct.pack(">H", 9)],
    ids=["fill bytes", "empty segments", "end"],
)
def test_pixels_of_endless_jpeg_are_unknown(head: bytes) -> None:
    assert pixels("jpeg", head) is None
