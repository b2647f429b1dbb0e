"""Which limit of a model a clip breaks, with the text for the caller."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from service.domain.measurement import Container, Measurement
from service.domain.models.clip_limits import (
    LARGEST_CLIP,
    broken_limit,
    broken_total,
    clip_fields,
    largest_clip,
    most_bytes,
    unusable_container,
)
from service.domain.models.loader import packaged
from service.domain.models.model import MediaLimits

OLD, NEW = (packaged()[f"bytedance/seedance-2.{number}/reference-to-video"] for number in (0, 5))
IMAGE = packaged()["bytedance/seedance-2.0/image-to-video"]


def clip(container: Container = "mp4", seconds: str = "5", **changes: Any) -> Measurement:
    made = Measurement(
        container=container,
        size=1000,
        seconds=Decimal(seconds),
        codec="h264",
        width=None if container in ("mp3", "wav") else 640,
        height=None if container in ("mp3", "wav") else 480,
        frames_per_second=None if container in ("mp3", "wav") else Decimal(24),
    )
    return replace(made, **changes)


def seconds(least: str, most: str) -> tuple[Decimal, Decimal]:
    return Decimal(least), Decimal(most)


@pytest.mark.parametrize(
    ("limits", "size"),
    [
        (None, LARGEST_CLIP),
        (MediaLimits(), LARGEST_CLIP),
        (MediaLimits(bytes_each=5), 5),
        (MediaLimits(bytes_each=5, bytes_total=4), 4),
        (MediaLimits(bytes_total=LARGEST_CLIP + 1), LARGEST_CLIP + 1),
    ],
)
def test_largest_clip_has_the_smaller_limit(limits: MediaLimits | None, size: int) -> None:
    assert largest_clip(limits) == size


def test_largest_clip_of_models_is_of_any() -> None:
    assert clip_fields(OLD) == {"video_urls": "video", "audio_urls": "audio"}
    assert clip_fields(IMAGE) == {}
    for kind, field in (("video", "video_urls"), ("audio", "audio_urls")):
        sizes = [largest_clip(model.fields[field].files) for model in (OLD, NEW)]
        assert most_bytes([OLD, IMAGE, NEW])[kind] == most_bytes([NEW, OLD])[kind] == max(sizes)  # type: ignore[index]
    assert most_bytes([IMAGE]) == {}


def test_container_that_is_unusable_names_the_others() -> None:
    assert unusable_container(MediaLimits(), "video") == "is not MP4 or MOV"
    assert unusable_container(MediaLimits(), "audio") == "is not MP3 or WAV"
    assert unusable_container(MediaLimits(formats=("wav",)), "audio") == "is not WAV"


@pytest.mark.parametrize(
    ("found", "limits", "text"),
    [
        (clip(), MediaLimits(), None),
        (clip(), MediaLimits(formats=("mp4", "mov")), None),
        (clip(), MediaLimits(formats=("mov", "webm")), "is MP4, not MOV or WEBM"),
        (clip(size=7), MediaLimits(bytes_each=7), None),
        (clip(size=8), MediaLimits(bytes_each=7), "has 8 bytes, more than 7"),
        (clip(seconds="2"), MediaLimits(seconds_each=seconds("2", "5")), None),
        (clip(seconds="5.1"), MediaLimits(seconds_each=seconds("2", "5")), None),
        (clip(seconds="1.999"), MediaLimits(seconds_each=seconds("2", "5")), "lasts 1.999 s, not 2 to 5 s"),
        (clip(seconds="5.101"), MediaLimits(seconds_each=seconds("2", "5")), "lasts 5.101 s, not 2 to 5 s"),
        (clip(seconds="60.000"), MediaLimits(seconds_each=seconds("0", "5")), "lasts 60 s, not up to 5 s"),
        (clip(width=300, height=6000), MediaLimits(pixels=(300, 6000)), None),
        (clip(width=6000, height=300), MediaLimits(pixels=(300, 6000)), None),
        *(
            (
                clip(width=width, height=height),
                MediaLimits(pixels=(300, 6000)),
                f"has {width} x {height} pixels, each side must have 300 to 6000",
            )
            for width, height in ((299, 480), (6001, 480), (640, 299), (640, 6001))
        ),
        (clip(width=None), MediaLimits(pixels=(3000, 6000)), None),
        (clip(height=None), MediaLimits(pixels=(3000, 6000)), None),
        (clip(frames_per_second=Decimal("23.9")), MediaLimits(frames_per_second=(24, 60)), None),
        (clip(frames_per_second=Decimal("60.1")), MediaLimits(frames_per_second=(24, 60)), None),
        (
            clip(frames_per_second=Decimal("23.89")),
            MediaLimits(frames_per_second=(24, 60)),
            "has 23.89 frames per second, not 24 to 60",
        ),
        (
            clip(frames_per_second=Decimal(100)),
            MediaLimits(frames_per_second=(24, 60)),
            "has 100 frames per second, not 24 to 60",
        ),
        (clip(frames_per_second=None), MediaLimits(frames_per_second=(24, 60)), None),
        (clip("mp3"), MediaLimits(pixels=(3000, 6000), frames_per_second=(240, 600)), None),
        (clip("wav", width=1, height=1), MediaLimits(pixels=(3000, 6000)), None),
    ],
    ids=str,
)
def test_limit_broken_by_a_clip_has_its_text(found: Measurement, limits: MediaLimits, text: str | None) -> None:
    assert broken_limit(found, limits) == text


TOTAL = MediaLimits(seconds_total=seconds("4", "10"))


@pytest.mark.parametrize(
    ("lengths", "complete", "limits", "text"),
    [
        ([], False, TOTAL, None),
        ([], True, TOTAL, "last 0 s together, not 4 to 10 s"),
        (["2", "2"], True, TOTAL, None),
        (["2", "1.9"], True, TOTAL, "last 3.9 s together, not 4 to 10 s"),
        (["2", "1.9"], False, TOTAL, None),
        (["10.1"], True, TOTAL, None),
        (["10.11"], True, TOTAL, "last 10.11 s together, not 4 to 10 s"),
        (["5", "5.2"], True, TOTAL, None),  # the padding of two files
        (["5", "5.21"], False, TOTAL, "last 10.21 s together, not 4 to 10 s"),
        (["99"], True, MediaLimits(), None),
        (["5", "5"], True, MediaLimits(bytes_total=2000), None),
        (["5", "5"], True, MediaLimits(bytes_total=1999), "have 2000 bytes together, more than 1999"),
        (
            ["5", "6"],
            True,
            MediaLimits(bytes_total=2000, seconds_total=seconds("0", "10")),
            "last 11 s together, not up to 10 s",
        ),
    ],
    ids=str,
)
def test_limit_broken_by_clips_together_has_its_text(
    lengths: list[str], complete: bool, limits: MediaLimits, text: str | None
) -> None:
    assert broken_total((clip(seconds=each) for each in lengths), limits, complete=complete) == text
