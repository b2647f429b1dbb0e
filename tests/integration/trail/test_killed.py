"""An act whose process is killed between its change and its outcome is in the trail all the same."""

import asyncio
import os
import signal
import subprocess
import sys
from datetime import timedelta

from service.config.settings import Settings
from service.domain.trail import Outcome
from service.runtime import Runtime
from tests.support.factories import Clock
from tests.support.trail import entries

_PROGRAM = """
import asyncio, os, signal
from service.config.settings import Settings
from service.domain.actor import Actor, ActorKind
from service.runtime import open_runtime

async def main():
    async with open_runtime(Settings()) as runtime:
        async with runtime.trail.act(Actor(kind=ActorKind.LOCAL, name="ann"), "pause_dispatch", reason="a drill"):
            await runtime.operations.gate.pause("a drill")
            os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_act_of_a_killed_process_ends_as_unknown(runtime: Runtime, settings: Settings, clock: Clock) -> None:
    child = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _PROGRAM],
        env={**os.environ, **settings.environment()},
        stderr=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )

    assert child.returncode == -signal.SIGKILL
    assert (await runtime.operations.gate.read()).reason == "a drill"
    assert await entries(runtime) == []
    clock.advance(timedelta(hours=1, minutes=1))
    assert await runtime.trail.end_abandoned() == 1
    (entry,) = await entries(runtime)
    assert (entry.actor.name, entry.action, entry.reason, entry.outcome) == (
        "ann",
        "pause_dispatch",
        "a drill",
        Outcome.UNKNOWN,
    )
