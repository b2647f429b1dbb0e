"""The video file: any player shows it, and it goes from the start image to the end image."""

import io
import itertools
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from sandbox.dimensions import Dimensions
from sandbox.video import Scene, render
from tests.integration.sandbox.driver import Fal
from tests.integration.sandbox.images import CAT, COFFEE, ROCKET, data_uri

Picture = NDArray[np.int16]
#: Interval of the compared frames; the last frame of each second is one of them.
STRIDE = 12


@dataclass
class Watched:
    codec: str
    size: tuple[int, int]
    pixel_format: str
    rate: int
    first: Picture
    last: Picture
    count: int
    smallest_step: float
    sound: tuple[str, int, int] | None  # codec, channels, rate
    sound_seconds: float = 0
    loudness: float = 0


def watch(content: bytes) -> Watched:
    with av.open(io.BytesIO(content), "r") as container:
        stream = container.streams.video[0]
        frames: list[Picture] = []
        for count, frame in enumerate(container.decode(stream), 1):
            if count % STRIDE == 0 or count == 1:
                frames.append(frame.to_ndarray(format="rgb24").astype(np.int16))
        context = stream.codec_context
        watched = Watched(
            codec=context.name,
            size=(context.width, context.height),
            pixel_format=str(context.pix_fmt),
            rate=int(stream.average_rate or 0),
            first=frames[0],
            last=frames[-1],
            count=count,
            smallest_step=min(difference(a, b) for a, b in itertools.pairwise(frames)),
            sound=None,
        )
    return listen(content, watched)


def listen(content: bytes, watched: Watched) -> Watched:
    with av.open(io.BytesIO(content), "r") as container:
        for stream in container.streams.audio:
            samples = [frame.to_ndarray() for frame in container.decode(stream)]
            context = stream.codec_context
            watched.sound = (context.name, context.layout.nb_channels, context.sample_rate)
            watched.sound_seconds = sum(part.shape[1] for part in samples) / context.sample_rate
            watched.loudness = float(np.abs(np.concatenate(samples, axis=1)).max())
    return watched


def difference(a: Picture, b: Picture) -> float:
    return float(np.abs(a - b).mean())


def cover(path: Path, size: tuple[int, int]) -> Picture:
    return np.asarray(ImageOps.fit(Image.open(path).convert("RGB"), size), dtype=np.int16)


async def made(fal: Fal, **fields: object) -> Watched:
    result = await fal.outcome("a slow push in", **fields)
    assert result.status_code == 200, result.text
    video = result.json()["video"]
    file = await fal.http.get(video["url"])
    assert len(file.content) == video["file_size"]
    assert file.headers["content-type"] == video["content_type"] == "video/mp4"
    assert file.content.index(b"moov") < file.content.index(b"mdat")
    return watch(file.content)


async def test_video_720p_with_start_and_end_image_and_sound(fal: Fal) -> None:
    end = data_uri(COFFEE.read_bytes(), "image/webp")
    video = await made(fal, duration="5", aspect_ratio="16:9", end_image_url=end)
    assert (video.codec, video.size, video.pixel_format) == ("h264", (1280, 720), "yuv420p")
    assert (video.rate, video.count) == (24, 120)
    assert difference(video.first, cover(ROCKET, video.size)) < 4
    assert difference(video.last, cover(COFFEE, video.size)) < 4
    assert difference(video.last, cover(ROCKET, video.size)) > 30
    assert video.smallest_step > 0.2
    assert video.sound == ("aac", 2, 48_000)
    assert video.sound_seconds == pytest.approx(5, abs=0.05)
    assert video.loudness > 0.05


async def test_video_480p_portrait_from_data_uri_without_sound(fal: Fal) -> None:
    image = data_uri(CAT.read_bytes())
    video = await made(fal, resolution="480p", aspect_ratio="9:16", duration="4", image_url=image, generate_audio=False)
    assert (video.size, video.count, video.sound) == ((496, 864), 96, None)
    assert difference(video.first, cover(CAT, video.size)) < 4
    assert difference(video.first, video.last) > 5  # the picture changes


async def test_video_auto_has_ratio_of_image_and_five_seconds(fal: Fal) -> None:
    video = await made(fal, resolution="480p", image_url=data_uri(CAT.read_bytes()))  # 451x300
    assert (video.size, video.count) == ((752, 560), 120)


@pytest.mark.parametrize("size", [(1470, 630), (834, 1112), (1112, 834)])
def test_video_of_odd_half_size_is_made(tmp_path: Path, size: tuple[int, int]) -> None:
    image = Image.open(ROCKET).convert("RGB")
    path = tmp_path / "video.mp4"
    render(Scene(image, None, Dimensions(*size, 1), "standard", audio=False, seed=1), path)
    video = watch(path.read_bytes())
    assert (video.size, video.count) == (size, 24)
    assert difference(video.first, cover(ROCKET, size)) < 5


def test_video_bitrate_and_seed_take_effect(tmp_path: Path) -> None:
    image = Image.open(COFFEE).convert("RGB")
    size = Dimensions(496, 864, 1)
    for name, mode, seed in (("a", "standard", 1), ("b", "high", 1), ("c", "standard", 2)):
        render(Scene(image, None, size, mode, audio=True, seed=seed), tmp_path / name)
    standard, high, other = (path.read_bytes() for path in sorted(tmp_path.iterdir()))
    assert len(high) > 1.3 * len(standard)
    assert other != standard
