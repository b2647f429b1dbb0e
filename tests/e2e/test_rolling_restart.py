"""An upgrade under load, one process after the other: nothing is lost, nothing is paid twice, nobody waits in vain."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest

from service.cli.dev.stack import Stack
from tests.e2e.conftest import OVERRIDES, client_of
from tests.support.chaos.crash_points import POLLING, QUICK, Trial
from tests.support.receiver import Receiver

#: A submit may take longer than everything else is given to end; none is healed by a callback.
SLOW_SUBMITS: dict[str, Any] = {
    "fal_timeout": timedelta(seconds=40),
    "shutdown_grace": timedelta(seconds=1),
    **POLLING,
}
#: Between two creates, and before one is tried again.
PAUSE = 0.05


@pytest.fixture
def trial(receiver: Receiver) -> Iterator[Trial]:
    with Stack(overrides={**OVERRIDES, **SLOW_SUBMITS}) as stack:
        tenant = client_of(stack)
        with tenant.http:
            yield Trial(stack, tenant, receiver)


class Load:
    """A tenant that creates one after the other, and asks again with the same key when there is no answer."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._done = threading.Event()
        self.retries = 0

    def run(self) -> None:
        while not self._done.wait(PAUSE):
            number = len(self._trial.prompts)
            self._accepted(f"{QUICK} sandbox:slow-answer=0.5 under load {number}", f"order {number}")

    def end(self) -> None:
        self._done.set()

    def _accepted(self, prompt: str, key: str) -> None:
        for _ in range(200):
            try:
                self._trial.created(prompt, key=key)
            except httpx.TransportError:
                self.retries += 1
                self._done.wait(PAUSE)
            else:
                return
        raise AssertionError(f"nobody took {prompt!r}")


@contextmanager
def load_on(trial: Trial) -> Iterator[Load]:
    load = Load(trial)
    with ThreadPoolExecutor(1) as pool:
        running: Future[None] = pool.submit(load.run)
        try:
            yield load
        finally:
            load.end()
        running.result(90)


def test_a_rolling_restart_under_load(trial: Trial) -> None:
    with load_on(trial) as load:
        restart_gateway(trial)
        replace_worker(trial)
        assert trial.stack.children["beat"].end() == 0
        trial.stack.start_beat()
        had = len(trial.prompts)
        trial.stack.children["beat"].wait_until(lambda: len(trial.prompts) > had + 10)
    assert load.retries > 0, "the gap was noticed"
    ended = trial.prove([*trial.prompts])
    assert {g["status"] for g in ended.values()} == {"succeeded"}


def restart_gateway(trial: Trial) -> None:
    gateway = trial.stack.children["gateway"]
    gateway.wait_until(lambda: len(trial.prompts) > 10)
    gateway.end()
    trial.stack.start_gateway()


def replace_worker(trial: Trial) -> None:
    """The second is up before the first is asked to go, which has a submit under way that takes its time."""
    first = trial.stack.children["worker"]
    slow = trial.created(f"{QUICK} sandbox:slow-answer=20 under way")
    first.wait_until(lambda: trial.submits(slow) == 1)
    try:
        trial.stack.start_worker()
        assert trial.tenant.read(slow)["status"] == "submitting"
    finally:
        code = first.end()
    assert code == 0
    assert trial.tenant.read(slow)["status"] != "submitting"
