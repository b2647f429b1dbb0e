"""Measurements in their process: confined, and ended at limits."""

import asyncio
import struct
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from typing import IO

import pytest

from service.errors import ClipLimit, ClipTruncated, ClipUnreadable
from service.media import decoder_process
from service.media.clips.measurer import Measurer
from service.media.decoder_process import DecoderLimit
from service.media.decoder_slots import DecoderSlots
from tests.support import clips


@pytest.fixture
def spooled() -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile(buffering=0) as file:
        yield file


async def test_clip_is_measured_in_a_process(spooled: IO[bytes]) -> None:
    spooled.write(clips.video())

    found = await Measurer(DecoderSlots()).measure("ten_1", spooled, "mp4")

    assert (found.seconds, found.width, found.size) == (Decimal("2.000"), 320, len(clips.video()))


async def test_fault_has_the_pointer_of_its_field(spooled: IO[bytes]) -> None:
    spooled.write(clips.video()[:-300])

    with pytest.raises(ClipTruncated) as refused:
        await Measurer(DecoderSlots()).measure("ten_1", spooled, "mp4", pointer="/video_urls/0")

    assert [(fault.pointer, fault.type) for fault in refused.value.errors] == [("/video_urls/0", "clip_truncated")]


async def test_index_of_a_billion_frames_ends_at_a_limit(spooled: IO[bytes]) -> None:
    """A few bytes of tables describe frames that would take 20 GB of an index."""
    content = clips.at(clips.video(), b"stsz", 4, struct.pack(">II", 1, 1_000_000_000))
    content = clips.at(content, b"stts", 4, struct.pack(">III", 1, 1_000_000_000, 512))
    content = clips.at(content, b"stsc", 4, struct.pack(">IIII", 1, 1, 1_000_000_000, 1))
    spooled.write(content)

    with pytest.raises((ClipLimit, ClipUnreadable, ClipTruncated)):
        await Measurer(DecoderSlots()).measure("ten_1", spooled, "mp4")


@pytest.mark.parametrize(
    ("limit", "text"),
    [(DecoderLimit(30.0), "took longer than 30 seconds"), (DecoderLimit(), "more CPU time or memory")],
)
async def test_process_ended_at_a_limit_is_clip_limit(
    spooled: IO[bytes], monkeypatch: pytest.MonkeyPatch, limit: DecoderLimit, text: str
) -> None:
    async def ended(*_: object, **__: object) -> None:
        raise limit

    monkeypatch.setattr(decoder_process, "run", ended)

    with pytest.raises(ClipLimit, match=text):
        await Measurer(DecoderSlots()).measure("ten_1", spooled, "mp4")


async def test_measurement_of_a_canceled_upload_ends_its_process(spooled: IO[bytes]) -> None:
    spooled.write(clips.video())
    slots = DecoderSlots()
    measuring = asyncio.create_task(Measurer(slots).measure("ten_1", spooled, "mp4"))
    await asyncio.sleep(0)
    measuring.cancel()
    with pytest.raises(asyncio.CancelledError):
        await measuring

    async with asyncio.timeout(60), slots.slot("ten_2", is_large=False):
        pass  # the slot is free again
