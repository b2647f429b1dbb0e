"""The quick start of fal's model page, unchanged except for the environment."""

import ast
import sys
from pathlib import Path

import av
import httpx

from tests.e2e.fal.conftest import HERE, Gateway, run, submits


def test_quick_start_prints_downloadable_video_url(gateway: Gateway, tmp_path: Path) -> None:
    printed = run([sys.executable, str(HERE / "quick_start.txt")], gateway.environment)

    output = ast.literal_eval(printed.splitlines()[-1])
    file = tmp_path / "video.mp4"
    file.write_bytes(httpx.get(output["video"]["url"], trust_env=False).raise_for_status().content)
    with av.open(file) as video:
        assert video.streams.video[0].codec_context.name == "h264"
        assert sum(1 for _ in video.decode(video.streams.video[0])) >= 4 * 24
    assert len(submits(gateway.stack, "An octopus finds a football")) == 1
