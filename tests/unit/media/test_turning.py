"""Images that their EXIF turns, by format, bit depth, orientation and colour: compared with the turned source."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any, Final, cast

import numpy as np
import pytest
from PIL import Image, ImageCms, JpegImagePlugin

from service.errors import ImageLimit
from service.media.inspection import inspect
from tests.support import deep_png, pictures
from tests.support.pictures import SECRET, chunk

ORIENTATIONS: Final = range(2, 9)
PROFILE: Final = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
#: By orientation: how an array of rows is turned upright.
TURNS: Final[dict[int, Callable[[Any], Any]]] = {
    1: lambda rows: rows,
    2: lambda rows: rows[:, ::-1],
    3: lambda rows: rows[::-1, ::-1],
    4: lambda rows: rows[::-1],
    5: lambda rows: rows.swapaxes(0, 1),
    6: lambda rows: rows[::-1].swapaxes(0, 1),
    7: lambda rows: rows[::-1, ::-1].swapaxes(0, 1),
    8: lambda rows: rows[:, ::-1].swapaxes(0, 1),
}
SIDEWAYS: Final = range(5, 9)


def clean_of(content: bytes, **options: Any) -> bytes:
    found, clean = inspect(content, most_pixels=10_000_000, **options)
    assert (found.width, found.height) == pictures.opened(clean).size
    return clean


def rows_of(content: bytes, mode: str | None = None) -> Any:
    image = pictures.opened(content)
    return np.asarray(image if mode is None else image.convert(mode)).astype(int)


def photo(width: int, height: int) -> Image.Image:
    """Return an image with details of all sizes, like a photo, whose values stay clear of both ends."""
    random = np.random.default_rng(3)
    total = np.full((height, width, 3), 128.0)
    for size, strength in ((32, 25), (8, 12), (2, 5)):
        grid = random.normal(0, strength, (height // size + 2, width // size + 2, 3)).astype(np.float32)
        for band in range(3):
            total[..., band] += np.asarray(
                Image.fromarray(grid[..., band]).resize((width, height), Image.Resampling.BICUBIC)
            )
    return Image.fromarray(np.clip(total, 16, 240).astype(np.uint8))


def exif(orientation: int) -> bytes:
    return pictures.exif(orientation=orientation)


# --- PNG --------------------------------------------------------------------------------------------------------------

COLOURS: Final = {
    b"gAMA": struct.pack(">I", 45455),
    b"cHRM": struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
    b"sRGB": b"\x00",
    b"pHYs": struct.pack(">IIB", 3000, 2000, 1),
}
PNGS: Final = [
    *((depth, 0) for depth in (1, 2, 4, 8, 16)),
    *((depth, 3) for depth in (1, 2, 4, 8)),
    *((depth, colour) for depth in (8, 16) for colour in (2, 4, 6)),
]


def png(
    depth: int, colour: int, orientation: int, **options: Any
) -> tuple[bytes, deep_png.Samples, dict[bytes, bytes]]:
    values = deep_png.samples(11, 67, depth, colour)
    extra = dict(COLOURS)
    extra[b"sBIT"] = bytes((min(depth, 8),) * {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}[colour])
    if colour == 3:
        extra[b"PLTE"] = bytes(range(3 << depth)) if depth < 8 else bytes(range(256)) * 3
    if colour in (0, 2, 3):
        extra[b"tRNS"] = {0: b"\x00\x01", 2: b"\x00\x01\x00\x02\x00\x03", 3: b"\x00\x80"}[colour]
    before = b"".join(chunk(name, body) for name, body in extra.items())
    orientation_chunk = chunk(b"eXIf", exif(orientation).removeprefix(b"Exif\x00\x00"))
    where = options.pop("exif", "before")
    if where == "before":
        before = orientation_chunk + before
    after = orientation_chunk if where == "after" else b""
    return deep_png.written(values, depth, colour, before=before, after=after, **options), values, extra


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize(("depth", "colour"), PNGS)
def test_turn_png_is_exact_and_keeps_colours(depth: int, colour: int, orientation: int) -> None:
    content, values, extra = png(depth, colour, orientation, interlaced=orientation % 2 == 0)

    clean = clean_of(content)

    turned, chunks = deep_png.read(clean)
    assert np.array_equal(turned, TURNS[orientation](values))
    assert chunks[b"IHDR"][8:10] == bytes((depth, colour)), "bit depth and colour type are unchanged"
    swapped = orientation in SIDEWAYS
    assert chunks.pop(b"pHYs") == struct.pack(">IIB", *((2000, 3000) if swapped else (3000, 2000)), 1)
    assert {name: chunks[name] for name in chunks if name not in (b"IHDR", b"IDAT", b"IEND")} == {
        name: body for name, body in extra.items() if name != b"pHYs"
    }


@pytest.mark.parametrize(("depth", "colour"), [(8, 2), (16, 6), (16, 0), (4, 3)])
def test_turn_png_profile_and_exif_after_pixels(depth: int, colour: int) -> None:
    content, values, _ = png(depth, colour, 6, exif="after")
    profile = b"profile\x00\x00" + zlib.compress(PROFILE)
    at = content.index(b"IHDR") + 21
    content = content[:at] + chunk(b"iCCP", profile) + content[at:]

    clean = clean_of(content)

    turned, chunks = deep_png.read(clean)
    assert np.array_equal(turned, TURNS[6](values))
    assert chunks[b"iCCP"] == profile
    assert b"eXIf" not in chunks
    assert SECRET.encode() not in clean


def test_turn_png_order_of_chunks_is_valid() -> None:
    """A palette precedes its transparency, and both precede the pixels."""
    content, _, _ = png(8, 3, 6)
    clean = clean_of(content)

    places = [clean.index(name) for name in (b"IHDR", b"gAMA", b"PLTE", b"tRNS", b"IDAT")]

    assert places == sorted(places)
    assert pictures.opened(clean).mode == "P"


def test_turn_png_of_little_detail_stays_small() -> None:
    drawing = Image.effect_noise((64, 64), 90).resize((640, 640), Image.Resampling.NEAREST)
    tiles = Image.new("L", (2560, 1280))
    for across in range(4):
        for down in range(2):
            tiles.paste(drawing, (640 * across, 640 * down))
    content = pictures.encoded("png", tiles.convert("RGB"), exif=exif(6))

    assert len(clean_of(content)) < 2 * len(content)


# --- WebP -------------------------------------------------------------------------------------------------------------


def transparent(width: int, height: int) -> Image.Image:
    """Return noise whose left half is transparent, with colours below it."""
    image = pictures.noise(width, height).convert("RGBA")
    image.paste(0, (0, 0, 1, 1))
    alpha = Image.new("L", (width, height), 255)
    alpha.paste(0, (0, 0, width // 2, height))
    image.putalpha(alpha)
    return image


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("profile", [None, PROFILE], ids=["no profile", "profile"])
@pytest.mark.parametrize("image", [pictures.noise(61, 43), transparent(61, 43)], ids=lambda image: image.mode)
def test_turn_lossless_webp_is_exact(image: Image.Image, profile: bytes | None, orientation: int) -> None:
    content = pictures.encoded(
        "webp", image, lossless=True, exact=True, exif=exif(orientation), icc_profile=profile or b""
    )

    clean = clean_of(content)

    assert np.array_equal(rows_of(clean), TURNS[orientation](rows_of(content)))
    assert b"VP8L" in clean
    assert pictures.opened(clean).info.get("icc_profile") == profile
    assert SECRET.encode() not in clean


@pytest.mark.parametrize("quality", [40, 75, 95])
@pytest.mark.parametrize(
    "image",
    [photo(320, 240), transparent(320, 240), pictures.noise(320, 240)],
    ids=["photo", "transparent", "noise"],
)
def test_turn_lossy_webp_at_quality_of_source(image: Image.Image, quality: int) -> None:
    content = pictures.encoded("webp", image, quality=quality, exif=exif(6), icc_profile=PROFILE)

    clean = clean_of(content)

    expected, turned = TURNS[6](rows_of(content)), rows_of(clean)
    assert len(clean) < 1.2 * len(content)
    assert b"VP8L" not in clean
    assert pictures.opened(clean).info["icc_profile"] == PROFILE
    if image.mode == "RGBA":
        assert np.array_equal(turned[..., 3], expected[..., 3])
    elif image.mode == "RGB":
        assert np.abs(turned - expected).mean() < (30 if quality == 40 else 15)


# --- JPEG -------------------------------------------------------------------------------------------------------------

JPEGS: Final[dict[str, Callable[[Image.Image], tuple[Image.Image, dict[str, Any]]]]] = {
    "4:4:4": lambda image: (image, {"subsampling": 0}),
    "4:2:2": lambda image: (image, {"subsampling": 1}),
    "4:2:0": lambda image: (image, {"subsampling": 2}),
    "progressive": lambda image: (image, {"progressive": True}),
    "restarts": lambda image: (image, {"restart_marker_blocks": 3}),
    "grey": lambda image: (image.convert("L"), {}),
    "cmyk": lambda image: (image.convert("CMYK"), {}),
    "rgb": lambda image: (image, {"keep_rgb": True}),
}


def jpeg(kind: str, image: Image.Image, **options: Any) -> bytes:
    image, own = JPEGS[kind](image)
    return pictures.encoded("jpeg", image, icc_profile=PROFILE, dpi=(300, 200), **own, **options)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("kind", JPEGS)
def test_turn_jpeg_of_whole_blocks_is_unchanged(kind: str, orientation: int) -> None:
    """Almost all coefficients are quantised to what they were: some pixels differ, by a few steps of 256."""
    content = jpeg(kind, photo(160, 96), quality=85, exif=exif(orientation))

    clean = clean_of(content)

    expected, turned = TURNS[orientation](rows_of(content)), rows_of(clean)
    difference = np.abs(turned - expected)
    is_interpolated = kind == "4:2:2"
    assert difference.mean() < (1.5 if is_interpolated else 0.3), difference.mean()
    assert difference.max() <= (16 if is_interpolated else 4)
    image = pictures.opened(clean)
    assert image.info["icc_profile"] == PROFILE
    assert image.mode == pictures.opened(content).mode
    assert image.info["dpi"] == ((200, 300) if orientation in SIDEWAYS else (300, 200))
    assert not image.getexif()
    assert SECRET.encode() not in clean
    assert len(clean) < 1.05 * len(content) or (is_interpolated and orientation in SIDEWAYS)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (2, 2), (3, 7), (17, 15), (161, 97), (168, 104)])
@pytest.mark.parametrize("kind", ["4:4:4", "4:2:2", "4:2:0", "grey", "cmyk"])
def test_turn_jpeg_of_partial_blocks_keeps_every_pixel(kind: str, size: tuple[int, int]) -> None:
    """No edge is cut off, and no strip of it stays where it was."""
    for orientation in ORIENTATIONS:
        content = jpeg(kind, photo(*size), quality=90, exif=exif(orientation))

        expected, turned = TURNS[orientation](rows_of(content)), rows_of(clean_of(content))

        assert turned.shape == expected.shape
        difference = np.abs(turned - expected)
        noise = 3.5 if min(size) > 16 else 10  # of a few pixels, each is an edge
        assert difference.mean() < noise, (orientation, difference.mean())
        edges = [difference[0], difference[-1], difference[:, 0], difference[:, -1]]
        assert max(edge.mean() for edge in edges) < 2 * noise, orientation


@pytest.mark.parametrize("orientation", [3, 6])
def test_turn_jpeg_quantisation_turns_with_blocks(orientation: int) -> None:
    tables = [[2 + place // 8 for place in range(64)], [3 + place % 8 for place in range(64)]]
    content = jpeg("4:2:0", photo(64, 48), qtables=tables, exif=exif(orientation))

    image = cast("JpegImagePlugin.JpegImageFile", pictures.opened(clean_of(content)))

    found = [image.quantization[layer[3]] for layer in image.layer]
    turned = [np.reshape(table, (8, 8)) for table in tables]
    if orientation in SIDEWAYS:
        turned = [table.T for table in turned]
    assert [np.reshape(table, (8, 8)).tolist() for table in found] == [table.tolist() for table in turned[:1]] + [
        turned[1].tolist()
    ] * 2
    assert JpegImagePlugin.get_sampling(image) == 2


@pytest.mark.parametrize("progressive", [False, True])
def test_turn_jpeg_of_three_bytes_for_a_pixel(progressive: bool) -> None:
    noise = pictures.noise(320, 240)
    content = pictures.encoded(
        "jpeg", noise, quality=100, subsampling=0, progressive=progressive, optimize=False, exif=exif(6)
    )
    assert len(content) > 2.5 * 320 * 240

    assert np.abs(rows_of(clean_of(content)) - TURNS[6](rows_of(content))).mean() < 1


def test_turn_jpeg_progressive_stays_progressive() -> None:
    clean = clean_of(jpeg("progressive", photo(64, 48), exif=exif(6)))

    assert "progressive" in pictures.opened(clean).info


@pytest.mark.parametrize("transform", [0, 2], ids=["CMYK", "YCCK"])
def test_turn_jpeg_of_four_components_keeps_adobe_header(transform: int) -> None:
    """The header says how to read the components; the same components with another header have other colours."""
    content = bytearray(jpeg("cmyk", photo(64, 48), exif=exif(8)))
    content[content.index(b"Adobe") + 11] = transform

    clean = clean_of(bytes(content))

    assert clean[clean.index(b"Adobe") + 11] == transform
    assert np.abs(rows_of(clean) - TURNS[8](rows_of(bytes(content)))).mean() < 1


def test_turn_jpeg_rgb_without_header_stays_rgb() -> None:
    content = pictures.encoded("jpeg", photo(64, 48), keep_rgb=True, exif=exif(6))
    start = content.index(b"\xff\xe0") if b"\xff\xe0" in content[:30] else content.index(b"\xff\xee")
    length = int.from_bytes(content[start + 2 : start + 4])
    bare = content[:start] + content[start + 2 + length :]
    assert b"JFIF" not in bare
    assert b"Adobe" not in bare

    assert np.abs(rows_of(clean_of(bare)) - TURNS[6](rows_of(bare))).mean() < 1


# --- EXIF that is damaged, and limits ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"Exif\x00\x00",
        b"Exif\x00\x00II*\x00",
        b"Exif\x00\x00II*\x00\xff\xff\xff\xff",
        b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x09\x00\x00\x00\x00\x00\x00",
        b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x02\x00\x00\x00\x09\x00\x00\x00\xf0\x00\x00\x00\x00",
        b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff\x01\x12\x00\x05\x00\x00\x00\x01\x00\x00\x00\x1a\x00\x00\x00\x00",
        b"Exif\x00\x00not a TIFF",
        b"\xff" * 40,
    ],
    ids=["empty", "no header", "no offset", "offset", "orientation 9", "a text", "a fraction", "no TIFF", "noise"],
)
def test_turn_damaged_exif_refuses_no_image(kind: str, damage: bytes) -> None:
    plain = pictures.encoded(kind)
    if kind == "jpeg":
        content = plain[:2] + pictures.segment(0xE1, damage) + plain[2:]
    elif kind == "png":
        content = plain[:33] + chunk(b"eXIf", damage.removeprefix(b"Exif\x00\x00")) + plain[33:]
    else:
        content = pictures.encoded(kind, exif=damage or b"\x00")

    assert np.array_equal(rows_of(clean_of(content)), rows_of(plain))


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_turn_that_exceeds_largest_upload_is_a_limit(kind: str) -> None:
    content = pictures.encoded(kind, pictures.noise(90, 90), exif=exif(6))

    with pytest.raises(ImageLimit) as raised:
        clean_of(content, most_bytes=100)

    assert raised.value.retryable
    assert raised.value.code == "image_limit"


def test_turn_takes_a_smaller_form_near_the_limit() -> None:
    """Pillow writes no chroma that is halved from top to bottom only: it is stored in full, or else as 4:2:0."""
    content = jpeg("4:2:2", photo(320, 240), quality=95, exif=exif(6))
    full = clean_of(content)

    smaller = clean_of(content, most_bytes=len(full) - 1)
    smallest = clean_of(content, most_bytes=len(smaller) - 1)

    assert len(smallest) < len(smaller) < len(full)
    assert pictures.opened(smallest).size == (240, 320)


def test_turn_result_is_decodable_by_header() -> None:
    """The header alone says the size that is returned."""
    for kind in ("jpeg", "png", "webp"):
        clean = clean_of(pictures.encoded(kind, exif=exif(6)))
        assert Image.open(io.BytesIO(clean)).size == (40, 60)
