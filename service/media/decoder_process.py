"""Runs a decoder of untrusted files as a child process: bounded in time and memory, without the gateway's secrets."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from typing import IO, Final

#: The kernel ends a process that exceeds its CPU time, or the memory of the machine or of the container.
_ENDED_BY_LIMIT: Final = (-signal.SIGKILL, -signal.SIGXCPU)
#: Variables of the environment that a decoder receives. No other: it reads unchecked files.
_ENVIRONMENT: Final = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT")


class DecoderLimit(Exception):
    """A decoder was ended at a limit. ``seconds``: its time on the clock; None: its CPU time or memory."""

    def __init__(self, seconds: float | None = None) -> None:
        super().__init__(seconds)
        self.seconds = seconds


async def run(
    module: str, *arguments: str, source: IO[bytes], target: IO[bytes] | int | None = None, seconds: float
) -> object:
    """Run a module with ``source`` as stdin; return the JSON in the last line of stderr, None if the process died.

    ``target``: its stdout; by default nothing. Raises DecoderLimit if a limit ended it.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        stdin=source,
        stdout=asyncio.subprocess.DEVNULL if target is None else target,
        stderr=asyncio.subprocess.PIPE,
        env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
    )
    try:
        async with asyncio.timeout(seconds):
            _, output = await process.communicate()
    except TimeoutError:
        raise DecoderLimit(seconds) from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if process.returncode in _ENDED_BY_LIMIT:
        raise DecoderLimit
    return _read(output) if process.returncode == 0 else None


def _read(output: bytes) -> object:
    """Parse the last line: decoders may have printed warnings before it."""
    try:
        return json.loads(output.rpartition(b"\n")[2])
    except ValueError:
        return None
