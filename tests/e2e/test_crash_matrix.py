"""Who dies where, with callbacks and without: what was accepted ends, is paid once at most, and is told of once."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psutil
import pytest

import sandbox
from service.cli.dev.stack import Stack
from tests.e2e.conftest import OVERRIDES, client_of
from tests.guards.repository import ROOT
from tests.support.chaos.clock_offset import start_misset_worker
from tests.support.chaos.crash_child import FOLDER, MODULE, Doom
from tests.support.chaos.crash_points import POLLING, QUICK, Trial
from tests.support.receiver import Receiver

#: By how much the wrong clocks are ahead.
SHIFTS = (timedelta(hours=3), timedelta(hours=-1))
#: An unknown submit is declared so within four seconds, and given up three seconds later.
PATIENCE = {
    "fal_timeout": timedelta(seconds=3),
    "unconfirmed_deadline": timedelta(seconds=7),
    "webhook_timeout": timedelta(seconds=5),
}


@pytest.fixture(scope="module", params=["callbacks", "polling", "wrong clocks"])
def setting(request: pytest.FixtureRequest) -> str:
    """``wrong clocks``: with callbacks, and with a worker at +3 h and one at -1 h."""
    return str(request.param)


@pytest.fixture(scope="module")
def callbacks(setting: str) -> bool:
    return setting != "polling"


@pytest.fixture(scope="module")
def doom(tmp_path_factory: pytest.TempPathFactory) -> Doom:
    return Doom(tmp_path_factory.mktemp("doom"))


@pytest.fixture(scope="module")
def trial(setting: str, callbacks: bool, doom: Doom) -> Iterator[Trial]:
    overrides = {**OVERRIDES, **PATIENCE, **({} if callbacks else POLLING)}
    with pytest.MonkeyPatch.context() as patch, Receiver() as receiver:
        patch.setenv(FOLDER, str(doom.folder))
        paths = (ROOT, Path(sandbox.__file__).parents[1], os.environ.get("PYTHONPATH", ""))
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, paths)))
        with Stack(gateway_module=MODULE, worker_app=MODULE, overrides=overrides) as stack, ExitStack() as ending:
            tenant = client_of(stack)
            trial = Trial(stack, tenant, receiver, [stack.children["worker"]])
            try:
                trial.staff()
                for ahead in SHIFTS if setting == "wrong clocks" else ():
                    ending.callback(start_misset_worker(stack, ahead).end)
                yield trial
            finally:
                tenant.http.close()
                for worker in trial.workers:
                    worker.end()


@dataclass(frozen=True)
class Row:
    """What becomes of the generation at whose point the worker died."""

    point: str
    submits: int
    with_callbacks: str
    without: str


@pytest.mark.parametrize(
    "row",
    [
        Row("before_intent", 1, "succeeded", "succeeded"),
        Row("after_intent", 0, "failed", "failed"),
        Row("half_sent", 0, "failed", "failed"),
        Row("sent", 1, "succeeded", "failed"),
        Row("after_post", 1, "succeeded", "failed"),
        Row("after_save", 1, "succeeded", "succeeded"),
    ],
    ids=lambda row: row.point,
)
def test_the_worker_dies(trial: Trial, doom: Doom, row: Row, callbacks: bool) -> None:
    outcome = row.with_callbacks if callbacks else row.without
    doom.arm(row.point)
    names = trial.create(row.point)
    trial.lost_a_worker()
    victim = doom.victim()
    if outcome == "failed":
        trial.becomes_unconfirmed(victim)
    trial.staff()
    ended = trial.prove(names)
    assert (ended[victim]["status"], trial.submits(victim)) == (outcome, row.submits)
    if callbacks:
        assert all(g["status"] == "succeeded" or trial.submits(name) == 0 for name, g in ended.items())


@pytest.mark.parametrize("point", ["before_create", "after_create"])
def test_the_gateway_dies(trial: Trial, doom: Doom, point: str) -> None:
    """With others on their way; the caller gets no answer and asks again."""
    names = trial.create(point, count=2)
    prompt, key = f"{QUICK} unanswered {point}", f"order {point}"
    doom.arm(point)
    with pytest.raises(httpx.TransportError):
        trial.created(prompt, key=key)
    assert trial.stack.children["gateway"].process.wait(90) == -signal.SIGKILL
    trial.stack.start_gateway()
    ended = trial.prove([*names, trial.created(prompt, key=key)])
    assert {g["status"] for g in ended.values()} == {"succeeded"}
    of_this = trial.tenant.http.get("/v1/generations", params={"end_user_id": f"of {prompt}"}).json()["data"]
    assert len(of_this) == 1


def test_redis_dies_while_fal_answers(trial: Trial) -> None:
    """What fal answered is known to the worker alone, until Redis is back."""
    names = trial.create("redis", sandbox=f"{QUICK} sandbox:slow-answer=1")
    worker = trial.stack.children["worker"]
    worker.wait_until(lambda: all(trial.submits(name) for name in names))
    trial.stack.redis.kill()
    worker.wait_until(lambda: all(answered(trial, name) for name in names))
    trial.stack.redis.restart()
    assert {g["status"] for g in trial.prove(names).values()} == {"succeeded"}


def test_beat_dies(trial: Trial) -> None:
    trial.stack.children["beat"].kill()
    names = trial.create("beat")
    trial.stack.start_beat()
    assert {g["status"] for g in trial.prove(names).values()} == {"succeeded"}


def test_a_worker_that_was_stopped_for_too_long_does_not_send(trial: Trial, doom: Doom) -> None:
    doom.arm("stopped_after_intent")
    names = trial.create("stopped", count=2)
    stopped, other = stopped_and_other(trial)
    other.suspend()  # nobody gives the intent up meanwhile
    trial.tenant.read(doom.victim(), wait=1)  # longer than it may hesitate
    resumed_at = datetime.now(UTC)
    stopped.resume()
    other.resume()
    g = trial.prove(names)[doom.victim()]
    assert (g["status"], trial.submits(doom.victim())) == ("succeeded", 1)
    assert datetime.fromisoformat(g["submitted_at"]) > resumed_at, "by another intent"


def test_worker_stopped_with_a_claim_does_not_send_after_another_worker(trial: Trial, doom: Doom) -> None:
    """It is stopped for longer than its lease, between its claim and its intent."""
    doom.arm("stopped_before_intent")
    names = trial.create("stopped", count=2)
    stopped, _ = stopped_and_other(trial)
    g = trial.tenant.wait_for(doom.victim(), lambda now: now["submitted_at"] is not None)
    assert g["submitted_at"] is not None
    stopped.resume()
    ended = trial.prove(names)
    assert {g["status"] for g in ended.values()} == {"succeeded"}
    assert trial.submits(doom.victim()) == 1


def test_a_worker_that_was_given_up_says_what_it_has_not_sent(trial: Trial, doom: Doom) -> None:
    doom.arm("stopped_after_intent")
    names = trial.create("stopped", count=2)
    stopped, _ = stopped_and_other(trial)
    trial.becomes_unconfirmed(doom.victim())
    stopped.resume()
    g = trial.prove(names)[doom.victim()]
    assert (g["status"], g["error"]["retryable"], g["cost"]["actual"]) == ("failed", True, "0.000000")
    assert trial.submits(doom.victim()) == 0


def stopped_and_other(trial: Trial) -> tuple[psutil.Process, psutil.Process]:
    """The worker that SIGSTOP has caught just before the POST of a generation, and the one that goes on."""
    give_up = time.monotonic() + 90
    workers = [psutil.Process(worker.pid) for worker in trial.workers]
    while psutil.STATUS_STOPPED not in (found := [worker.status() for worker in workers]):
        assert time.monotonic() < give_up, found
        time.sleep(0.02)
    stopped = found.index(psutil.STATUS_STOPPED)
    return workers[stopped], workers[1 - stopped]


def answered(trial: Trial, name: str) -> bool:
    """By the line that a worker writes before it tells Redis."""
    lines = trial.stack.children["worker"].log.read_text().splitlines()
    return any(name in line and '"event":"submitted"' in line for line in lines)
