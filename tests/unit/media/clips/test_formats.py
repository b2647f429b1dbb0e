"""Containers of clips by their first bytes."""

import pytest

from service.media import formats as image_formats
from service.media.clips.formats import HEAD_LENGTH, container_of, expected
from tests.support import clips, pictures
from tests.support.image_files import OTHERS


@pytest.mark.parametrize(
    ("content", "container"),
    [
        (clips.video(), "mp4"),
        (clips.video(container="mov"), "mov"),
        (clips.video(container="3gp"), "mp4"),
        (b"\0\0\0\x08wide\0\0\0\x10mdat", "mov"),
        (clips.sound(), "mp3"),
        (clips.sound(tags=False), "mp3"),
        (clips.wav(), "wav"),
        (clips.video(container="matroska"), None),
        (clips.sound(container="adts", codec="aac"), None),
        (clips.sound(container="flac", codec="flac"), None),
        (b"\xff\xfb\x90\x64" + bytes(2000), None),  # one header of MP3, and no second frame
        (b"\xff\xfb" + b"\xff" * 2000, None),
        (b"\xff\xfe<\0h\0t\0m\0l\0", None),  # text in UTF-16
        (b"", None),
        (b"\xff\xfb\x90", None),
    ],
)
def test_container_is_decided_by_bytes(content: bytes, container: str | None) -> None:
    assert container_of(content[:HEAD_LENGTH]) == container


@pytest.mark.parametrize("content", [*(pictures.encoded(kind) for kind in ("jpeg", "png", "webp"))])
def test_image_is_no_clip(content: bytes) -> None:
    assert container_of(content) is None


@pytest.mark.parametrize("name", [name for name in OTHERS if name != "WAV" and "video" not in OTHERS[name][1]])
def test_format_that_images_refuse_is_no_clip(name: str) -> None:
    assert container_of(OTHERS[name][0]) is None
    assert image_formats.format_of(OTHERS[name][0]) is None


@pytest.mark.parametrize(
    ("label", "name", "container"),
    [
        ("video/mp4", "file", "mp4"),
        ("video/quicktime; x=y", "file", "mov"),
        ("application/octet-stream", "holiday.MOV", "mov"),
        ("audio/mpeg", "file", "mp3"),
        ("audio/x-wav", "file", "wav"),
        ("application/octet-stream", "a.b.mp3", "mp3"),
        ("image/png", "file.png", None),
        ("", "", None),
    ],
)
def test_expected_container_is_the_declared_one(label: str, name: str, container: str | None) -> None:
    assert expected(label, name) == container
