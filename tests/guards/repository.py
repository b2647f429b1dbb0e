"""The files of the repository: those that git tracks or would track."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
README: Final = ROOT / "README.md"
#: Texts of others, which are not changed.
_NOT_TEXT: Final = {".png", ".jpg", ".webp", ".mp4", ".ico"}


def files(*suffixes: str) -> Iterator[Path]:
    """Return every text file that is, or will be, part of the repository; outside of git, every file that exists."""
    for path in _listed():
        text = path.is_file() and path.suffix not in _NOT_TEXT
        if text and (not suffixes or path.suffix in suffixes):
            yield path


def modules(*packages: str) -> Iterator[Path]:
    for package in packages:
        yield from (path for path in files(".py") if path.is_relative_to(ROOT / package))


def _listed() -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode == 0:
        return sorted(ROOT / name for name in listing.stdout.splitlines())
    hidden = (
        path for path in ROOT.rglob("*") if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
    )
    return sorted(path for path in hidden if "__pycache__" not in path.parts)
