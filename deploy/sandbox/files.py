"""The CDN's disk: uploaded images and produced videos, public by URL."""

import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import anyio

from sandbox.ids import word

SAMPLES = Path(__file__).parent / "samples"
READY_VIDEO = SAMPLES / "ready.mp4"
#: Videos of `sandbox:no-video` have separate URLs and share one file.
READY_FOLDER = "b/ready/"
UNSAFE = re.compile(r"[^\w.-]")


@dataclass(frozen=True, slots=True)
class StoredFile:
    key: str
    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def size(self) -> int:
        return self.path.stat().st_size


class Files:
    def __init__(self, folder: Path) -> None:
        self._root = folder / "files"
        self._root.mkdir(parents=True, exist_ok=True)

    def create(self, name: str) -> StoredFile:
        """Create a path under an unguessable URL."""
        safe = UNSAFE.sub("_", name)[-100:] or "file"
        key = f"b/{secrets.token_hex(2)}/{word()}_{safe}"
        path = self._root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        return StoredFile(key, path)

    def ready_video(self) -> StoredFile:
        return StoredFile(f"{READY_FOLDER}{word()}_video.mp4", READY_VIDEO)

    def find(self, key: str) -> Path | None:
        if key.startswith(READY_FOLDER):
            return READY_VIDEO
        path = (self._root / key).resolve()
        return path if path.is_relative_to(self._root.resolve()) and path.is_file() else None

    def place(self, key: str) -> Path | None:
        """Return the path of a URL that `create` made; the folder exists only for such URLs."""
        path = (self._root / key).resolve()
        return path if path.is_relative_to(self._root.resolve()) and path.parent.is_dir() else None

    def part(self, upload: str, number: int) -> Path:
        folder = self._root.parent / "parts" / UNSAFE.sub("_", upload)
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{number:06d}"

    async def join_parts(self, upload: str, target: Path) -> None:
        for part in sorted(self.part(upload, 0).parent.iterdir()):
            await write(_chunks(part), target, mode="ab")
            part.unlink()


async def write(chunks: AsyncIterator[bytes], path: Path, *, mode: Literal["wb", "ab"] = "wb") -> int:
    """Stream the body to disk; return its size in bytes."""
    size = 0
    async with await anyio.open_file(path, mode) as file:
        async for chunk in chunks:
            size += len(chunk)
            await file.write(chunk)
    return size


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    async with await anyio.open_file(path, "rb") as file:
        while chunk := await file.read(1 << 20):
            yield chunk
