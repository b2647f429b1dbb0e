"""Video and audio files for tests: small, real, and broken in known ways."""

import io
import tempfile
import wave
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import OutputContainer

_SOUND = 48_000


@cache
def video(
    seconds: float = 2.0,
    *,
    container: str = "mp4",
    width: int = 320,
    height: int = 320,
    rate: int = 24,
    tracks: int = 1,
    sound: bool = False,
    options: tuple[tuple[str, str], ...] = (),
) -> bytes:
    """Return a video of black frames."""
    with tempfile.NamedTemporaryFile() as file:  # FFmpeg opens it again for `faststart`
        with av.open(file.name, "w", format=container, options=dict(options)) as output:
            streams = [output.add_stream("mpeg4", rate=rate) for _ in range(tracks)]
            for stream in streams:
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            track = output.add_stream("aac", rate=_SOUND, layout="mono") if sound else None
            _mux_black(output, streams, round(seconds * rate), rate)
            if track is not None:
                _mux_silence(output, track, seconds)
        return Path(file.name).read_bytes()


def _mux_black(output: OutputContainer, streams: list[Any], frames: int, rate: int) -> None:
    height, width = streams[0].height, streams[0].width
    frame = av.VideoFrame.from_ndarray(np.zeros((height * 3 // 2, width), np.uint8), format="yuv420p")
    for number in range(frames):
        frame.pts, frame.time_base = number, Fraction(1, rate)
        for stream in streams:
            output.mux(stream.encode(frame))
    for stream in streams:
        output.mux(stream.encode())


@cache
def sound(seconds: float = 2.0, *, container: str = "mp3", codec: str = "libmp3lame", tags: bool = True) -> bytes:
    """Return a file of silence. ``tags``: whether an MP3 has an ID3 and a Xing header."""
    file = io.BytesIO()
    options = {} if tags else {"id3v2_version": "0", "write_xing": "0"}
    with av.open(file, "w", format=container, options=options) as output:
        _mux_silence(output, output.add_stream(codec, rate=_SOUND, layout="mono"), seconds)
    return file.getvalue()


def _mux_silence(output: OutputContainer, track: Any, seconds: float) -> None:
    frame = av.AudioFrame.from_ndarray(np.zeros((1, round(seconds * _SOUND)), np.float32), format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = _SOUND, 0, Fraction(1, _SOUND)
    output.mux(track.encode(frame))
    output.mux(track.encode())


@cache
def wav(seconds: float = 2.0, *, rate: int = 16_000) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as output:
        output.setnchannels(1)
        output.setsampwidth(2)
        output.setframerate(rate)
        output.writeframes(bytes(round(seconds * rate) * 2))
    return file.getvalue()


def at(content: bytes, name: bytes, offset: int, value: bytes) -> bytes:
    """Return the file with bytes replaced, ``offset`` bytes after the first box or chunk of a name."""
    place = content.index(name) + len(name) + offset
    return content[:place] + value + content[place + len(value) :]
