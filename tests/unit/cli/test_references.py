"""Reference files of ``seedance-gateway generate``."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli.client import create_video
from service.cli.client.create_video import VideoRequest
from service.cli.client.photos import Photo
from service.cli.main import app

MODEL = "bytedance/seedance-2.5/reference-to-video"
URL = "https://example.com/clip.mp4"
SAMPLE = Path("deploy/sandbox/samples/cat.png")


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[VideoRequest]:
    found: list[VideoRequest] = []
    monkeypatch.setattr(create_video, "create", found.append)
    monkeypatch.setattr(create_video, "estimate", found.append)
    return found


def generate(*options: str) -> int:
    arguments = ["generate", "-", "@Image1 as in @Video1", "--key", "k", "--model", MODEL, *options]
    return CliRunner().invoke(app, arguments).exit_code


def test_generate_collects_files_and_urls_of_references(requests: list[VideoRequest], tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"x")
    images, videos = ("--reference-image", str(SAMPLE)), ("--reference-video", URL, "--reference-video", str(clip))

    assert generate(*images, *videos, "--task", "extension") == 0

    assert requests[0].references == {
        "image_urls": [Photo(SAMPLE, "image/png")],
        "video_urls": [URL, Photo(clip, "application/octet-stream")],
    }
    assert requests[0].fields["task"] == "extension"


def test_generate_estimate_reads_no_references(requests: list[VideoRequest]) -> None:
    assert generate("--estimate", "--reference-audio", "no-such.mp3", "--reference-image", "no-such.png") == 0

    assert {name: len(files) for name, files in requests[0].references.items()} == {"image_urls": 1, "audio_urls": 1}


@pytest.mark.parametrize("option", ["--reference-image", "--reference-video", "--reference-audio"])
def test_generate_missing_reference_is_refused(requests: list[VideoRequest], option: str) -> None:
    assert (generate(option, "no-such.file"), requests) == (2, [])
