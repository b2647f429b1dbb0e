"""A rolling restart under load, one process after the other: no generation is lost or submitted twice."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest

from service.cli.dev.stack import Stack
from tests.e2e.conftest import OVERRIDES, client_of
from tests.support.chaos.trial import POLLING, QUICK, Trial
from tests.support.receiver import Receiver

#: A submit may take longer than the grace of other work. No callback can adopt a lost submit.
SLOW_SUBMITS: dict[str, Any] = {
    "fal_timeout": timedelta(seconds=40),
    "shutdown_grace": timedelta(seconds=1),
    **POLLING,
}
#: Seconds between two creates, and before one is repeated.
PAUSE = 0.05
#: Seconds for which a create is repeated: a gateway starts slowly on a busy machine.
REPEATED_WITHIN = 80.0


@pytest.fixture
def trial(receiver: Receiver) -> Iterator[Trial]:
    with Stack(overrides={**OVERRIDES, **SLOW_SUBMITS}) as stack:
        tenant = client_of(stack)
        trial = Trial(stack, tenant, receiver)
        with tenant.http, trial.reading():
            yield trial


class Load:
    """A tenant that creates one generation after the other, and repeats a create without response with the same key."""

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
        give_up = time.monotonic() + REPEATED_WITHIN
        while time.monotonic() < give_up:
            try:
                self._trial.create_one(prompt, key=key)
            except httpx.TransportError:
                self.retries += 1
                self._done.wait(PAUSE)
            else:
                return
        raise AssertionError(f"not accepted: {prompt!r}")


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


def test_rolling_restart_under_load_loses_nothing(trial: Trial) -> None:
    with load_on(trial) as load:
        restart_gateway(trial)
        replace_worker(trial)
        assert trial.stack.children["beat"].end() == 0
        trial.stack.start_beat()
        before = len(trial.prompts)
        trial.stack.children["beat"].wait_until(lambda: len(trial.prompts) > before + 10)
    assert load.retries > 0, "a create was repeated during the restart"
    ended = trial.assert_ended_consistently([*trial.prompts])
    assert {g["status"] for g in ended.values()} == {"succeeded"}


def restart_gateway(trial: Trial) -> None:
    gateway = trial.stack.children["gateway"]
    gateway.wait_until(lambda: len(trial.prompts) > 10)
    gateway.end()
    trial.stack.start_gateway()


def replace_worker(trial: Trial) -> None:
    """Start the second worker before the first one stops, which has a slow submit in progress."""
    first = trial.stack.children["worker"]
    slow = trial.create_one(f"{QUICK} sandbox:slow-answer=20 in progress")
    first.wait_until(lambda: trial.submits(slow) == 1)
    try:
        trial.stack.start_worker()
        assert trial.tenant.read(slow)["status"] == "submitting"
    finally:
        code = first.end()
    assert code == 0
    assert trial.tenant.read(slow)["status"] != "submitting"
