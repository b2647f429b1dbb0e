"""Memory of an upload: the gateway's peak, before and after uploads of thirty megabytes."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import numpy as np
from PIL import Image

from service.cli.dev.stack import Stack
from tests.bench import stack as stacks
from tests.bench.figures import Figure, Target
from tests.bench.scale import Scale

_UPLOADS: Final = 3
#: Noise, which hardly compresses: just under thirty megabytes as a PNG.
_SIZE: Final = (2700, 3600)
_SMALL: Final = (300, 200)


def rss(_scale: Scale) -> Iterator[Figure]:
    """Measure the largest growth of the gateway process while images of 30 MB are uploaded."""
    with stacks.opened(worker=False) as stack:
        for _ in range(_UPLOADS):  # the first uploads load code and open connections
            _upload(stack, _photo(_SMALL))
        photo, pid = _photo(_SIZE), stacks.gateway_of(stack).pid
        before = _peak(pid, forget=True)
        for _ in range(_UPLOADS):
            _upload(stack, photo)
        after = _peak(pid)
    yield Figure(
        name="upload_rss",
        value=(after - before) / 1e6,
        unit="MB",
        target=Target(10),
        raw={"uploads": _UPLOADS, "bytes": len(photo), "peak_before": before, "peak_after": after},
    )


def _photo(size: tuple[int, int]) -> bytes:
    written = io.BytesIO()
    Image.fromarray(np.random.default_rng(7).integers(0, 256, (*size, 3), np.uint8)).save(written, "PNG")
    return written.getvalue()


def _upload(stack: Stack, photo: bytes) -> None:
    headers = {**stacks.headers(stack), "content-type": "image/png"}
    answer = httpx.post(f"{stack.base_url}/v1/uploads", content=photo, headers=headers, timeout=120, trust_env=False)
    answer.raise_for_status()


def _peak(pid: int, *, forget: bool = False) -> int:
    """Return the largest resident memory in bytes since the last reset."""
    process = Path(f"/proc/{pid}")
    if forget:
        (process / "clear_refs").write_text("5")
    line = next(line for line in (process / "status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
