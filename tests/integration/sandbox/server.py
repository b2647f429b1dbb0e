"""A sandbox as a child process, always stopped by its process id."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from typing import Any


class Server:
    def __init__(self, *arguments: str, **settings: Any) -> None:
        wanted = {f"SANDBOX_{name.upper()}": str(value) for name, value in settings.items()}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SANDBOX_")}
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in stop()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sandbox", *arguments],
            env={**inherited, **wanted},
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        assert self.process.stdout
        self.announcement: dict[str, str] = json.loads(self.process.stdout.readline())
        self.url = self.announcement["url"]

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Return the exit code and the whole output on stderr."""
        assert self.process.stdout
        self.process.send_signal(number)
        try:
            code = self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.process.stdout.close()
        with self._errors as errors:
            errors.seek(0)
            return code, errors.read()
