"""Installs programs of others below ``build/clients``, once for each list of versions, and runs them."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

BUILD = Path(__file__).parents[2] / "build/clients"
#: A first run downloads; a busy machine compiles slowly.
_LONGEST = 900


def run(command: list[str | Path], *, cwd: Path | None = None, **environment: str) -> str:
    """Return the standard output of a program that must end with 0. Its error output is part of a failure."""
    ended = subprocess.run(
        command,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=_LONGEST,
        check=False,
        cwd=cwd,
    )
    assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def python_environment(requirements: Path) -> Path:
    """Return the ``bin`` folder of a virtual environment of its own with these requirements."""
    folder = _folder("python", requirements)
    if not (folder / "installed").exists():
        run([sys.executable, "-m", "venv", "--clear", folder])
        run([folder / "bin/python", "-m", "pip", "install", "-q", "--requirement", requirements])
        (folder / "installed").touch()
    return folder / "bin"


def node_environment(manifest: Path) -> Path:
    """Return a folder with the packages of this ``package.json``; programs in it import them by name."""
    assert shutil.which("npm"), "npm is missing (Debian, Ubuntu: apt-get install nodejs npm)"
    folder = _folder("node", manifest)
    if not (folder / "installed").exists():
        folder.mkdir(parents=True, exist_ok=True)
        packages: dict[str, Any] = json.loads(manifest.read_text())
        (folder / "package.json").write_text(json.dumps({**packages, "private": True, "type": "module"}))
        run(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"], cwd=folder)
        (folder / "installed").touch()
    return folder


def _folder(kind: str, versions: Path) -> Path:
    """Return a folder whose name changes with the versions, so that a change of the list installs anew."""
    digest = hashlib.sha256(versions.read_bytes()).hexdigest()[:12]
    return BUILD / f"{kind}-{versions.parent.name}-{digest}"
