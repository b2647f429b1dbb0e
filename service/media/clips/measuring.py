"""Measures one clip: seconds, codec, and of a video its size and frames per second. Nothing is decoded on purpose.

Run as a program it reads the file at stdin and writes a JSON object to stderr. It runs in a process of its own: FFmpeg
reads untrusted files here, without network, with limits on memory and CPU time.

**Seconds** are what a bill can count, so the largest number wins: of the container's header, of each stream's header,
and of the packets themselves, from the first timestamp to the end of the last packet. A header that claims less than
the packets hold changes nothing. Frames that an edit list hides count too: a program may ignore edit lists.
"""

import errno
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import IO, Any, Final, cast

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from service.domain.measurement import KIND, Container, Measurement, rounded_up
from service.errors import BadClip, ClipFormat, ClipTruncated, ClipUnreadable
from service.media.clips.structure import stated_seconds
from service.media.confinement import confine

#: The gateway's event loop shares the CPUs, and goes first.
_NICE: Final = 10
#: One demuxer for each container: FFmpeg has hundreds, and would try all.
_DEMUXERS: Final[dict[Container, str]] = {"mp4": "mov", "mov": "mov", "mp3": "mp3", "wav": "wav"}
_OPTIONS: Final = {"mov": {"ignore_editlist": "1"}}
#: Packets of all streams: 30 s at 60 frames per second with several sound tracks have less than 10,000.
_MOST_PACKETS: Final = 200_000
#: Part of the frames that the index names and the file must have.
_LEAST_FRAMES: Final = 0.9
_MICROSECONDS: Final = 1_000_000


@dataclass(slots=True)
class _Span:
    """Packets of one stream: their number and time."""

    packets: int = 0
    first: Fraction | None = None
    last: Fraction = Fraction(0)

    def add(self, packet: "Packet[Any]") -> None:
        self.packets += 1
        at = packet.pts if packet.pts is not None else packet.dts
        if at is None or packet.time_base is None:
            return
        begin = at * packet.time_base
        self.first = begin if self.first is None else min(self.first, begin)
        self.last = max(self.last, begin + max(packet.duration or 0, 0) * packet.time_base)

    @property
    def seconds(self) -> Fraction:
        return Fraction(0) if self.first is None else self.last - self.first


def measure(file: IO[bytes], container: Container) -> Measurement:
    """Measure the clip. Raises a BadClip; MemoryError at the limit of this process."""
    size = file.seek(0, os.SEEK_END)
    stated = stated_seconds(container, file, size)
    file.seek(0)
    demuxer = _DEMUXERS[container]
    try:
        with av.open(file, "r", format=demuxer, options=_OPTIONS.get(demuxer, {}), metadata_errors="ignore") as opened:
            return _measured(opened, container, size, stated)
    except av.FFmpegError as error:
        if error.errno == errno.ENOMEM:
            raise MemoryError from None
        raise ClipUnreadable("The file is damaged, or no video or audio file.") from error


def _measured(opened: InputContainer, container: Container, size: int, stated: Fraction) -> Measurement:
    stream = _only_stream(opened, container)
    spans = _spans(opened)
    span = spans[stream.index]
    if not span.packets:
        raise ClipUnreadable(f"The {KIND[container]} has no frames.")
    if span.packets < stream.frames * _LEAST_FRAMES:
        raise ClipTruncated(f"The file has {span.packets} of its {stream.frames} frames.")
    seconds = rounded_up(_decimal(max(stated, *_durations(opened, spans))))
    if not seconds:
        raise ClipUnreadable(f"The {KIND[container]} has no length.")
    codec = stream.codec_context.codec.canonical_name
    if KIND[container] == "audio":
        return Measurement(container=container, size=size, seconds=seconds, codec=codec)
    context = stream.codec_context
    width, height = getattr(context, "width", 0), getattr(context, "height", 0)
    if width <= 0 or height <= 0:
        raise ClipUnreadable("The video states no size.")
    rate = span.packets / span.seconds if span.seconds else getattr(stream, "average_rate", None)
    return Measurement(
        container=container,
        size=size,
        seconds=seconds,
        codec=codec,
        width=width,
        height=height,
        frames_per_second=None if rate is None else round(_decimal(Fraction(rate)), 3),
    )


def _only_stream(opened: InputContainer, container: Container) -> Stream:
    """Return the stream that is used: the only one of its kind, except covers, or the first of several sounds."""
    kind = KIND[container]
    found = [each for each in opened.streams.get() if each.type == kind and not _is_cover(each)]
    if not found:
        raise ClipFormat(f"The {container.upper()} has no {kind} stream.")
    if kind == "video" and len(found) > 1:
        raise ClipFormat(f"The {container.upper()} has {len(found)} video streams; send a file with one.")
    if found[0].codec_context is None:
        raise ClipFormat(f"The {container.upper()} has a {kind} stream of an unknown codec.")
    if container == "mp3" and found[0].codec_context.codec.canonical_name != "mp3":
        raise ClipFormat("The file is not an MP3: its sound has another codec.")
    return found[0]


def _is_cover(stream: Stream) -> bool:
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def _spans(opened: InputContainer) -> list[_Span]:
    spans = [_Span() for _ in opened.streams]
    for number, packet in enumerate(opened.demux()):
        if number > _MOST_PACKETS:
            raise ClipUnreadable(f"The file has more than {_MOST_PACKETS} frames.")
        if packet.size:
            spans[packet.stream_index].add(packet)
    return spans


def _durations(opened: InputContainer, spans: list[_Span]) -> Iterator[Fraction]:
    yield Fraction(opened.duration or 0, _MICROSECONDS)
    for stream in opened.streams:
        if stream.duration and stream.time_base and not _is_cover(stream):
            yield stream.duration * stream.time_base
    yield from (span.seconds for span in spans)


def _decimal(number: Fraction) -> Decimal:
    return Decimal(number.numerator) / number.denominator


def main(container: str, cpu_seconds: int, memory: int) -> None:
    os.nice(_NICE)
    confine(cpu_seconds=cpu_seconds, memory=memory, largest_file=0)
    av.logging.set_level(None)
    try:
        found = measure(sys.stdin.buffer, cast("Container", container))
    except BadClip as bad:
        answer: dict[str, object] = {"code": bad.code, "reason": bad.reason}
    except MemoryError:
        answer = {"code": "clip_limit", "reason": "The file takes more memory than a measurement may."}
    else:
        answer = {"clip": found.as_json()}
    sys.stderr.write("\n" + json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
