"""Measurements of clips, true and hostile ones, without their process."""

import io
import struct
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.measurement import Measurement
from service.errors import BadClip, ClipFormat, ClipTruncated, ClipUnreadable
from service.media.clips.formats import HEAD_LENGTH, container_of
from service.media.clips.measuring import measure
from tests.support import clips
from tests.support.clips import at

FRAGMENTED = (("movflags", "frag_keyframe+empty_moov"),)
INDEX_FIRST = (("movflags", "faststart"),)
VIDEO, SOUND, WAV = clips.video(), clips.sound(), clips.wav()
HOUR = struct.pack(">I", 3_600_000)


def measured(content: bytes) -> Measurement:
    container = container_of(content[:HEAD_LENGTH])
    assert container is not None
    return measure(io.BytesIO(content), container)


@pytest.mark.parametrize(
    ("content", "seconds", "rate"),
    [
        (VIDEO, "2.000", "24.000"),
        (clips.video(container="mov"), "2.000", "24.000"),
        (clips.video(options=FRAGMENTED), "2.000", "24.000"),
        (clips.video(1.5, rate=60), "1.500", "60.000"),
        (clips.video(rate=10), "2.000", "10.000"),
    ],
)
def test_video_is_measured(content: bytes, seconds: str, rate: str) -> None:
    found = measured(content)

    assert (found.seconds, found.frames_per_second) == (Decimal(seconds), Decimal(rate))
    assert (found.width, found.height, found.codec, found.size) == (320, 320, "mpeg4", len(content))


@pytest.mark.parametrize(
    ("content", "codec", "least"),
    [
        (SOUND, "mp3", "2"),
        (clips.sound(tags=False), "mp3", "2"),
        (WAV, "pcm_s16le", "2"),
        (clips.sound(3), "mp3", "3"),
    ],
)
def test_sound_is_measured_with_its_padding(content: bytes, codec: str, least: str) -> None:
    found = measured(content)

    assert Decimal(least) <= found.seconds <= Decimal(least) + Decimal("0.1")
    assert (found.codec, found.width, found.frames_per_second) == (codec, None, None)


@pytest.mark.parametrize(
    ("content", "seconds"),
    [
        pytest.param(at(VIDEO, b"mvhd", 16, HOUR), 3600, id="movie header says an hour"),
        pytest.param(at(VIDEO, b"mdhd", 16, b"\x7f\0\0\0"), 2, id="media header says days"),
        pytest.param(at(VIDEO, b"mvhd", 16, b"\0\0\0\1"), 2, id="movie header says a millisecond"),
        pytest.param(at(VIDEO, b"mvhd", 16, b"\xff\xff\xff\xff"), 2, id="movie header says unknown"),
        pytest.param(at(VIDEO, b"mvhd", 12, b"\0\0\0\0"), 2, id="movie header has no time scale"),
        pytest.param(at(VIDEO, b"mdhd", 16, b"\0\0\0\1"), 2, id="media header says nothing"),
        pytest.param(at(VIDEO, b"tkhd", 20, b"\0\0\0\1"), 2, id="track header says a millisecond"),
        pytest.param(at(VIDEO, b"elst", 8, b"\0\0\0\x64"), 2, id="edit list shows a tenth of a second"),
        pytest.param(at(VIDEO, b"elst", 12, b"\0\0\x40\0"), 2, id="edit list hides the first second"),
        pytest.param(at(WAV, b"data", 0, b"\xff\xff\xff\xff"), 2, id="WAV of unknown length"),
        pytest.param(at(WAV, b"WAVE", -8, b"\xff\xff\xff\xff"), 2, id="RIFF of unknown length"),
        pytest.param(clips.sound(tags=True).replace(b"Info", b"Xing"), 2, id="Xing header of another kind"),
    ],
)
def test_longest_of_header_and_frames_counts(content: bytes, seconds: int) -> None:
    assert measured(content).seconds >= seconds


@pytest.mark.parametrize(
    ("content", "error", "text"),
    [
        pytest.param(VIDEO[:-300], ClipTruncated, "ends before its last box", id="index is cut"),
        pytest.param(clips.video(options=INDEX_FIRST)[:-300], ClipTruncated, "ends before", id="frames are cut"),
        pytest.param(VIDEO[:40], ClipTruncated, "no index", id="nothing but a beginning"),
        pytest.param(VIDEO[:8], ClipTruncated, "ends before its last box", id="one header"),
        pytest.param(VIDEO[: int.from_bytes(VIDEO[:4])], ClipTruncated, "no index", id="one box"),
        pytest.param(at(VIDEO, b"ftyp", -8, b"\0\0\0\4"), ClipUnreadable, "impossible length", id="box of 4 bytes"),
        pytest.param(VIDEO.replace(b"mdat", b"free"), ClipTruncated, "no data", id="no frames"),
        pytest.param(VIDEO.replace(b"trak", b"free"), ClipFormat, "no video stream", id="no streams"),
        pytest.param(VIDEO.replace(b"stsz", b"free"), ClipUnreadable, None, id="no sizes of frames"),
        pytest.param(clips.video(tracks=2), ClipFormat, "2 video streams", id="two videos"),
        pytest.param(clips.sound(container="mp4", codec="aac"), ClipFormat, "no video stream", id="M4A"),
        pytest.param(VIDEO.replace(b"mp4v", b"zzzz").replace(b"esds", b"free"), BadClip, None, id="unknown codec"),
        pytest.param(b"ID3\4\0\0\0\0\0\0" + bytes(3000), ClipUnreadable, "damaged", id="MP3 of zeros"),
        pytest.param(b"ID3\4\0\0\x7f\x7f\x7f\x7f" + SOUND[10:], ClipUnreadable, None, id="ID3 longer than the file"),
        pytest.param(WAV[:-1000], ClipTruncated, "The WAV states 64000 bytes", id="WAV is cut"),
        pytest.param(WAV[:36], ClipTruncated, "no sound", id="WAV without sound"),
        pytest.param(WAV[:44].replace(b"\0\xfa\0\0", b"\0\0\0\0"), ClipUnreadable, None, id="WAV of nothing"),
        pytest.param(at(WAV, b"fmt ", 8, b"\0\0\0\0"), ClipUnreadable, None, id="WAV without a rate"),
        pytest.param(b"\0\0\0\x08free" * 20_000, ClipUnreadable, "more than 10000 boxes", id="boxes without end"),
    ],
)
def test_hostile_clip_is_refused(content: bytes, error: type[BadClip], text: str | None) -> None:
    with pytest.raises(error, match=text):
        measured(content)


def test_samples_beyond_the_end_are_a_truncated_file() -> None:
    content = clips.video(options=INDEX_FIRST)
    (count,) = struct.unpack_from(">I", content, content.index(b"stco") + 8)
    assert count >= 1

    with pytest.raises(BadClip):
        measured(at(content, b"stco", 8, struct.pack(">I", len(content) + 1000)))


@settings(max_examples=150, deadline=None)
@given(
    base=st.sampled_from([VIDEO, clips.video(container="mov"), clips.video(options=FRAGMENTED), SOUND, WAV]),
    places=st.lists(st.tuples(st.integers(0, 20_000), st.binary(min_size=1, max_size=8)), min_size=1, max_size=4),
    end=st.integers(1, 20_000),
)
def test_damaged_clip_is_measured_or_refused(base: bytes, places: list[tuple[int, bytes]], end: int) -> None:
    """No damage leads to another error, or to a length of zero."""
    content = bytearray(base[:end])
    for place, value in places:
        begin = place % len(content)
        content[begin : begin + len(value)] = value
    container = container_of(bytes(content[:HEAD_LENGTH]))
    if container is None:
        return
    try:
        found = measure(io.BytesIO(content), container)
    except (BadClip, MemoryError):
        return
    assert found.seconds > 0
    assert found.size == len(content)
    assert Measurement.of_json(found.as_json()) == found
