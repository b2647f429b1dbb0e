"""Measurements of clips: their stored form, and seconds that are never rounded down."""

from decimal import Decimal

import pytest

from service.domain.measurement import ClipKind, Container, Measurement, rounded_up

VIDEO = Measurement(
    container="mp4",
    size=1000,
    seconds=Decimal("5.040"),
    codec="h264",
    width=640,
    height=480,
    frames_per_second=Decimal("23.976"),
)
SOUND = Measurement(container="wav", size=7, seconds=Decimal(2), codec="pcm")


@pytest.mark.parametrize(
    ("clip", "stored"),
    [
        (
            VIDEO,
            {
                "container": "mp4",
                "size": 1000,
                "seconds": "5.040",
                "codec": "h264",
                "width": 640,
                "height": 480,
                "frames_per_second": "23.976",
            },
        ),
        (SOUND, {"container": "wav", "size": 7, "seconds": "2", "codec": "pcm"}),
    ],
)
def test_measurement_has_the_stored_form(clip: Measurement, stored: dict[str, object]) -> None:
    assert clip.as_json() == stored
    assert Measurement.of_json(stored) == clip


@pytest.mark.parametrize(
    ("container", "kind"), [("mp4", "video"), ("mov", "video"), ("mp3", "audio"), ("wav", "audio")]
)
def test_measurement_has_the_kind_of_its_container(container: Container, kind: ClipKind) -> None:
    assert Measurement(container=container, size=1, seconds=Decimal(1), codec="x").kind == kind


@pytest.mark.parametrize(
    ("seconds", "milliseconds"), [("5", "5.000"), ("5.0001", "5.001"), ("5.001", "5.001"), ("0", "0.000")]
)
def test_seconds_are_rounded_up_to_milliseconds(seconds: str, milliseconds: str) -> None:
    """They are held and billed: less would be too little."""
    assert str(rounded_up(Decimal(seconds))) == milliseconds
