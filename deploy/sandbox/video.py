"""MP4 writer: H.264 or H.265, and AAC, frame by frame with constant memory, index at the front."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.container import OutputContainer
from av.video.stream import VideoStream
from PIL import Image

from sandbox import motion, sound
from sandbox.dimensions import FRAMES_PER_SECOND, Dimensions

QUALITY = {"standard": "23", "high": "17"}  # the encoders' constant rate factor

_H264 = ("libx264", {"preset": "superfast"})
_H265 = ("libx265", {"preset": "ultrafast", "x265-params": "log-level=none:pools=1:frame-threads=1"})
_ENCODERS = {"H264": _H264, "H265": _H265}


@dataclass(frozen=True, slots=True)
class Scene:
    start: Image.Image
    end: Image.Image | None
    dimensions: Dimensions
    bitrate_mode: str
    audio: bool
    seed: int
    codec: str = "auto"
    """``auto`` is H.264."""


def render(scene: Scene, path: Path) -> None:
    """Write the video; `faststart` moves the index in a second pass and therefore needs a real file."""
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        picture = _add_picture(container, scene)
        tone = Soundtrack(container, scene) if scene.audio else None
        for number, planes in enumerate(motion.frames(scene.start, scene.end, scene.dimensions)):
            if tone and number % FRAMES_PER_SECOND == 0:
                tone.write_second()
            container.mux(picture.encode(_video_frame(planes, number, scene.dimensions)))
        container.mux(picture.encode())
        if tone:
            tone.finish()


def _add_picture(container: OutputContainer, scene: Scene) -> VideoStream:
    encoder, options = _ENCODERS.get(scene.codec, _H264)
    options = {**options, "crf": QUALITY[scene.bitrate_mode]}
    # The types of the library know literal names only.
    stream = cast("VideoStream", container.add_stream(encoder, rate=FRAMES_PER_SECOND, options=options))
    stream.width, stream.height = scene.dimensions.width, scene.dimensions.height
    stream.pix_fmt = "yuv420p"
    stream.codec_context.thread_count = 1  # one rendering per core runs concurrently
    stream.codec_context.colorspace = stream.codec_context.color_primaries = stream.codec_context.color_trc = (
        1  # BT.709
    )
    if encoder == "libx265":
        stream.codec_context.codec_tag = "hvc1"  # players of Apple refuse the default, hev1
    return stream


def _video_frame(planes: motion.Plane, number: int, dimensions: Dimensions) -> av.VideoFrame:
    array = planes.reshape(dimensions.height * 3 // 2, dimensions.width)
    frame = av.VideoFrame.from_ndarray(array, format="yuv420p")
    frame.pts, frame.time_base = number, Fraction(1, FRAMES_PER_SECOND)
    return frame


class Soundtrack:
    def __init__(self, container: OutputContainer, scene: Scene) -> None:
        self._container = container
        self._stream = container.add_stream("aac", rate=sound.SAMPLE_RATE, layout="stereo")
        self._stream.bit_rate = 128_000
        self._seconds = sound.seconds_of_sound(scene.dimensions.seconds, scene.seed)
        self._written = 0

    def write_second(self) -> None:
        samples = next(self._seconds)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
        frame.sample_rate = sound.SAMPLE_RATE
        frame.pts, frame.time_base = self._written, Fraction(1, sound.SAMPLE_RATE)
        self._written += samples.shape[1]
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        self._container.mux(self._stream.encode())
