"""The packages of lock files."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.utils import canonicalize_name

#: The lock files of each image. The sandbox's packages are installed next to the gateway's.
IMAGES: Final = {
    "gateway": ("requirements.lock",),
    "sandbox": ("requirements.lock", "deploy/sandbox/requirements.lock"),
}
#: The optional dependencies that the locks include, next to the required ones.
EXTRAS: Final = {"gateway": ("otel",), "sandbox": ("otel", "sandbox")}

_ENTRY: Final = re.compile(r"^([\w.-]+)==([^\s;]+)((?:[^\\\n]|\\\n)*)", re.MULTILINE)
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Package:
    """One entry of a lock. ``hashes``: SHA-256 of each file that pip accepts, sorted."""

    name: str
    version: str
    hashes: tuple[str, ...]

    @property
    def purl(self) -> str:
        """Return the package's URL in the form of the package-url specification."""
        return f"pkg:pypi/{self.name}@{self.version}"


def read(root: Path, names: Iterable[str]) -> list[Package]:
    """Return the packages of the lock files, each once, sorted by name."""
    text = "\n".join((root / name).read_text() for name in names)
    found = {
        Package(canonicalize_name(name), version, tuple(sorted(_HASH.findall(rest))))
        for name, version, rest in _ENTRY.findall(text)
    }
    return sorted(found, key=lambda package: (package.name, package.version))
