"""Version and commit of the running build."""

import os
import subprocess
from functools import cache
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Final

#: Overrides the commit, for builds from a folder without git.
VARIABLE: Final = "GATEWAY_COMMIT"
UNKNOWN: Final = "unknown"
_HERE: Final = Path(__file__).parent
#: The wheel's build hook (deploy/build_hook.py) writes it.
_FILE: Final = _HERE / "commit.txt"
_GIT_SECONDS: Final = 5.0


@cache
def version() -> str:
    return installed_version("seedance-gateway")


@cache
def commit() -> str:
    """Abbreviated commit: of GATEWAY_COMMIT, else of the wheel, else of the git checkout, else ``unknown``."""
    if given := os.environ.get(VARIABLE):
        return given
    if _FILE.exists():
        return _FILE.read_text().strip() or UNKNOWN
    return _commit_of_checkout() or UNKNOWN


def describe() -> dict[str, str]:
    """Fields of a process's first log line."""
    return {"version": version(), "commit": commit()}


def _commit_of_checkout() -> str | None:
    root = _HERE.parent
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"]
    try:
        found = subprocess.run(  # noqa: S603  (the words are constants)
            command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):  # no git on PATH, or a repository that git refuses to read
        return None
    return found.stdout.strip()
