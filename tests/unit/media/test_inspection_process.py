"""The process that decodes images, with the limits that the gateway gives it."""

import json
import os
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from typing import Final

import numpy as np
import pytest
from PIL import Image

from service.media.confinement import CPU_SECONDS, MEMORY
from service.media.inspector import _SMALL
from tests.support import deep_png, pictures

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="resource limits of Linux"),
    pytest.mark.slow,  # the processes yield to the other tests
]

WIDTH, HEIGHT = 8000, 5000
MOST_BYTES: Final = 30_000_000
EXIF: Final = pictures.exif(orientation=6)


def tiled() -> Image.Image:
    tile = np.asarray(pictures.noise(250, 250)) // 2
    return Image.fromarray(np.tile(tile, (HEIGHT // 250, WIDTH // 250, 1)))


def deep() -> bytes:
    """Return a PNG of 16 bits and transparency: the most bytes of a pixel that there are."""
    rows = (b"\x00" + np.arange(0, 64_000, 1000, dtype=">u2").tobytes() * (WIDTH // 16)) * 50
    compressor = zlib.compressobj(1)
    pixels = b"".join((*(compressor.compress(rows) for _ in range(HEIGHT // 50)), compressor.flush()))
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 6, 0, 0, 0)
    chunks = (b"IHDR", head), (b"eXIf", EXIF.removeprefix(b"Exif\x00\x00")), (b"IDAT", pixels), (b"IEND", b"")
    return deep_png.HEAD + b"".join(pictures.chunk(*chunk) for chunk in chunks)


#: Within the largest upload and the most pixels of the default settings.
LARGEST: Final[dict[str, Callable[[], bytes]]] = {
    "progressive jpeg": lambda: pictures.encoded(
        "jpeg", tiled(), quality=40, subsampling=0, progressive=True, exif=EXIF
    ),
    "deep png": deep,
    "lossless webp": lambda: pictures.encoded("webp", tiled(), lossless=True, method=0, quality=0, exif=EXIF),
}


def run(
    content: bytes, *, most_bytes: int = MOST_BYTES, cpu_seconds: int = CPU_SECONDS, memory: int = MEMORY
) -> tuple[dict[str, object], int, float]:
    """Return the answer of the process, the length of the image, and the seconds of CPU that it took."""
    arguments = (WIDTH * HEIGHT, most_bytes, cpu_seconds, memory)
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target, tempfile.TemporaryFile() as report:
        source.write(content)
        source.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-m", "service.media.inspection", *map(str, arguments)],
            stdin=source,
            stdout=target,
            stderr=report,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        report.seek(0)
        assert process.returncode == 0, report.read()[-500:]
        report.seek(0)
        answer = json.loads(report.read().rpartition(b"\n")[2])
        return answer, target.seek(0, os.SEEK_END), usage.ru_utime + usage.ru_stime


@pytest.mark.parametrize("kind", LARGEST)
def test_process_turns_largest_image_within_limits(kind: str) -> None:
    """On an idle machine of 2026 each takes less than 5 s of CPU; others on the same cores make it more."""
    content = LARGEST[kind]()
    assert len(content) <= MOST_BYTES

    answer, length, cpu = run(content)

    assert (answer.get("width"), answer.get("height")) == (HEIGHT, WIDTH), answer
    assert length <= MOST_BYTES
    assert cpu < 15


def test_process_turns_small_image_within_its_limits() -> None:
    content = pictures.encoded("jpeg", Image.new("CMYK", (4000, 4000)), progressive=True, exif=EXIF)

    answer, _, _ = run(content, cpu_seconds=_SMALL.cpu_seconds, memory=_SMALL.memory)

    assert answer["width"] == 4000


def test_process_names_limit_of_bytes() -> None:
    answer, length, _ = run(pictures.encoded("png", pictures.noise(90, 90), exif=EXIF), most_bytes=1000)

    assert answer["code"] == "image_limit"
    assert "1000 bytes" in str(answer["reason"])
    assert length == 0


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_process_names_limit_of_memory(kind: str) -> None:
    content = pictures.encoded(kind, Image.new("RGB", (7000, 5000)), exif=EXIF)

    answer, _, _ = run(content, memory=300_000_000)

    assert answer.get("code") == "image_limit", answer
