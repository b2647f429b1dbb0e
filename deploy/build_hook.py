"""Build hook of the wheel: writes the commit that it is built from to ``service/commit.txt``."""

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CommitHook(BuildHookInterface):  # type: ignore[type-arg]
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the file to the wheel. An editable install reads the commit from git when it runs."""
        if version == "editable" or self.target_name != "wheel":
            return
        self._folder = tempfile.TemporaryDirectory()  # removed with this hook, after the build
        path = Path(self._folder.name) / "commit.txt"
        path.write_text(_commit(Path(self.root)) + "\n")
        build_data["force_include"][str(path)] = "service/commit.txt"


def _commit(root: Path) -> str:
    if given := os.environ.get("GATEWAY_COMMIT"):
        return given
    if not (root / ".git").exists():
        return "unknown"
    command = ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return found.stdout.strip() or "unknown"
