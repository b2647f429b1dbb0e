"""Images by their bytes: what remains, what is removed, and what is refused."""

import contextlib
import io
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from service.errors import (
    BadImage,
    ImageFormat,
    ImageTooManyPixels,
    ImageTruncated,
    ImageUnreadable,
)
from service.media.inspection import Inspected, header, inspect
from service.media.structure import cleaned
from tests.support import pictures
from tests.support.pictures import SECRET

KINDS = ("jpeg", "png", "webp")
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = f"<x:xmpmeta>{SECRET}</x:xmpmeta>".encode()
MOST = 1_000_000


def inspected(content: bytes, most_pixels: int = MOST) -> tuple[Inspected, bytes]:
    return inspect(content, most_pixels=most_pixels)


def png_with_texts() -> bytes:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Location", SECRET)
    texts.add_text("Comment", SECRET, zip=True)
    texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
    return pictures.encoded("png", pnginfo=texts, exif=pictures.exif(), icc_profile=PROFILE)


def jpeg_with_everything() -> bytes:
    plain = pictures.encoded("jpeg", exif=pictures.exif(), icc_profile=PROFILE, xmp=XMP, comment=SECRET.encode())
    iptc = pictures.segment(0xED, b"Photoshop 3.0\x00" + SECRET.encode())
    thumbnail = pictures.segment(0xE0, b"JFXX\x00\x10" + SECRET.encode())
    own = pictures.segment(0xE5, SECRET.encode())
    return plain[:2] + iptc + own + thumbnail + plain[2:]


def webp_with_everything() -> bytes:
    return pictures.encoded("webp", exif=pictures.exif(), icc_profile=PROFILE, xmp=XMP, lossless=True)


TALKATIVE: dict[str, Callable[[], bytes]] = {
    "jpeg": jpeg_with_everything,
    "png": png_with_texts,
    "webp": webp_with_everything,
}


@pytest.mark.parametrize("kind", KINDS)
def test_inspection_format_is_of_the_bytes(kind: str) -> None:
    found, _ = inspected(pictures.encoded(kind))

    assert found == Inspected(kind, 60, 40)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_inspection_plain_image_is_unchanged(kind: str) -> None:
    content = pictures.encoded(kind)

    assert inspected(content)[1] == content


@pytest.mark.parametrize("kind", KINDS)
def test_inspection_removes_metadata_not_colour_profile(kind: str) -> None:
    content = TALKATIVE[kind]()
    assert SECRET.encode() in content or zlib.compress(SECRET.encode()) in content

    clean = pictures.opened(inspected(content)[1])

    before = pictures.opened(content)
    assert clean.tobytes() == before.tobytes(), "the pixels are unchanged"
    assert clean.info.get("icc_profile") == PROFILE
    assert not clean.getexif()
    assert not {"exif", "xmp", "comment", "Location", "Comment", "XML:com.adobe.xmp", "photoshop"} & set(clean.info)
    assert SECRET.encode() not in inspected(content)[1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_inspection_applies_exif_rotation(kind: str, orientation: int) -> None:
    options: dict[str, Any] = {"lossless": True} if kind == "webp" else {}
    content = pictures.encoded(kind, exif=pictures.exif(orientation=orientation), **options)

    found, clean = inspected(content)

    image = pictures.opened(clean)
    sideways = orientation >= 5
    assert (found.width, found.height) == image.size == ((40, 60) if sideways else (60, 40))
    assert not image.getexif()
    assert SECRET.encode() not in clean
    corner = image.convert("RGB").getpixel((1, 1))
    assert isinstance(corner, tuple)
    red_first = orientation in (1, 4, 5, 6)
    assert (corner[0] > 200) is red_first
    assert (corner[2] > 200) is not red_first


def test_inspection_cmyk_colours_are_unchanged() -> None:
    """An Adobe segment states how to read the colours; without it they are inverted."""
    content = pictures.encoded("jpeg", pictures.picture().convert("CMYK"))

    assert pictures.opened(inspected(content)[1]).tobytes() == pictures.opened(content).tobytes()


def test_inspection_progressive_jpeg_with_many_scans() -> None:
    content = pictures.encoded("jpeg", pictures.noise(200, 100), progressive=True, exif=pictures.exif())

    clean = inspected(content)[1]

    assert pictures.opened(clean).tobytes() == pictures.opened(content).tobytes()
    assert SECRET.encode() not in clean


def test_inspection_removes_file_hidden_in_segment() -> None:
    content = pictures.encoded("jpeg", comment=b"*/=1;alert(1)/*")
    hidden = content[:2] + pictures.segment(0xFE, b"PK\x03\x04 a zip") + content[2:]

    clean = inspected(hidden)[1]

    assert b"PK\x03\x04" not in clean
    assert b"alert" not in clean


@pytest.mark.parametrize("kind", KINDS)
def test_inspection_pixel_limit_is_checked_by_header(kind: str) -> None:
    content = pictures.encoded(kind)

    with pytest.raises(ImageTooManyPixels, match="60 x 40"):
        inspected(content, most_pixels=60 * 40 - 1)
    assert inspected(content, most_pixels=60 * 40)


def test_inspection_truncated_bomb_reports_its_size() -> None:
    with pytest.raises(ImageTooManyPixels):
        inspected(pictures.png_header(40_000, 40_000)[:60])


def test_inspection_webp_flags_match_remaining_chunks() -> None:
    flags = 20  # after the header of the RIFF and of the first chunk
    content = webp_with_everything()

    clean = inspected(content)[1]

    assert content[flags] & 0x2C == 0x2C, "EXIF, XMP, a profile"
    assert clean[flags] & 0x2C == 0x20, "a profile"


def test_inspection_bomb_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def decoded(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(Image.Image, "load", decoded)
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", decoded)

    with pytest.raises(ImageTooManyPixels):
        inspected(pictures.png_header(40_000, 40_000))


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"GIF89a" + b"\x00" * 50, b"BM" + b"\x00" * 50, b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-"],
)
def test_inspection_other_format_is_refused(content: bytes) -> None:
    with pytest.raises(ImageFormat):
        inspected(content)


def test_inspection_animation_is_refused() -> None:
    content = pictures.encoded("webp", save_all=True, append_images=[pictures.noise(60, 40)])

    with pytest.raises(ImageFormat):
        inspected(content)


def test_inspection_animated_png_becomes_still() -> None:
    content = pictures.encoded("png", save_all=True, append_images=[pictures.noise(60, 40)])

    clean = pictures.opened(inspected(content)[1])

    assert not getattr(clean, "is_animated", False)
    assert clean.convert("RGB").tobytes() == pictures.picture().tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_inspection_undecodable_pixels_are_refused(kind: str) -> None:
    content = bytearray(pictures.encoded(kind, pictures.noise(50, 50)))
    if kind == "png":
        content = bytearray(pictures.png_header(50, 50))  # a complete file with missing pixels
    elif kind == "webp":
        content[25:-1] = b"\xff" * len(content[25:-1])
    else:
        start = content.index(b"\xff\xdb")
        content[start + 4 : start + 6] = b"\x77\x77"

    with pytest.raises(BadImage) as raised:
        inspected(bytes(content))

    assert raised.value.code in ("image_unreadable", "image_truncated")


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(share=st.floats(0, 0.999))
def test_inspection_truncated_image_is_refused(kind: str, share: float) -> None:
    content = TALKATIVE[kind]()

    with pytest.raises((ImageTruncated, ImageFormat, ImageUnreadable)):
        inspected(content[: int(len(content) * share)])


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_inspection_damaged_image_is_refused_or_valid(kind: str, data: st.DataObject) -> None:
    content = bytearray(TALKATIVE[kind]())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))

    try:
        found, clean = inspected(bytes(content))
    except BadImage:
        return
    assert pictures.opened(clean).size == (found.width, found.height)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=300))
def test_inspection_any_bytes_end_in_a_refusal(kind: str, body: bytes) -> None:
    heads = {"jpeg": b"\xff\xd8\xff", "png": b"\x89PNG\r\n\x1a\n", "webp": b"RIFF\x40\x00\x00\x00WEBP"}
    with contextlib.suppress(BadImage):
        assert cleaned(kind, heads[kind] + body)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_size_is_read_from_first_bytes(kind: str) -> None:
    content = pictures.encoded(kind, pictures.noise(300, 200))

    found = header(content[: len(content) // 2])

    assert found is None or (found.width, found.height) == (300, 200)
    assert kind == "webp" or found is not None
    assert header(content[:20]) is None


def test_size_of_no_image_is_refused() -> None:
    with pytest.raises(ImageFormat):
        header(b"<!doctype html>")


def test_inspection_ignores_pillow_pixel_limit() -> None:
    """Pillow warns at its own limit of 89 million pixels; the gateway's limit is a setting."""
    big = io.BytesIO()
    Image.new("1", (10_000, 9_500)).save(big, "PNG")

    with pytest.raises(ImageTooManyPixels):
        inspected(big.getvalue(), most_pixels=90_000_000)
