"""Crashes of each process at each point, with and without callbacks.

Every accepted generation ends, is submitted at most once, and has one event.
"""

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
from tests.support.chaos.crash_child import FOLDER, MODULE, CrashPoints
from tests.support.chaos.trial import POLLING, QUICK, Trial
from tests.support.receiver import Receiver

#: How far the wrong clocks are ahead.
SHIFTS = (timedelta(hours=3), timedelta(hours=-1))
#: A submit without outcome is unconfirmed within four seconds, and given up six seconds later.
SHORT_WAITS = {
    "fal_timeout": timedelta(seconds=3),
    "unconfirmed_deadline": timedelta(seconds=10),
    "webhook_timeout": timedelta(seconds=5),
}


@pytest.fixture(scope="module", params=[True, False], ids=["callbacks", "polling"])
def callbacks(request: pytest.FixtureRequest) -> bool:
    """With callbacks there are also a worker at +3 h and one at -1 h, which must change nothing."""
    return bool(request.param)


@pytest.fixture(scope="module")
def crash_points(tmp_path_factory: pytest.TempPathFactory) -> CrashPoints:
    return CrashPoints(tmp_path_factory.mktemp("crash_points"))


@pytest.fixture(scope="module")
def trial(callbacks: bool, crash_points: CrashPoints) -> Iterator[Trial]:
    overrides = {**OVERRIDES, **SHORT_WAITS, **({} if callbacks else POLLING)}
    with pytest.MonkeyPatch.context() as patch, Receiver() as receiver:
        patch.setenv(FOLDER, str(crash_points.folder))
        paths = (ROOT, Path(sandbox.__file__).parents[1], os.environ.get("PYTHONPATH", ""))
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, paths)))
        with Stack(gateway_module=MODULE, worker_app=MODULE, overrides=overrides) as stack, ExitStack() as ending:
            tenant = client_of(stack)
            trial = Trial(stack, tenant, receiver, [stack.children["worker"]])
            try:
                trial.start_workers()
                for ahead in SHIFTS if callbacks else ():
                    ending.callback(start_misset_worker(stack, ahead).end)
                with trial.reading():
                    yield trial
            finally:
                tenant.http.close()
                for worker in trial.workers:
                    worker.end()


@pytest.fixture(autouse=True)
def _repaired(trial: Trial, crash_points: CrashPoints) -> None:
    """A failed test fails alone: its crash point is disarmed, and its workers run again."""
    crash_points.disarm_all()
    trial.repair()


@dataclass(frozen=True)
class CrashOutcome:
    """The final status of the generation at whose crash point the worker died."""

    point: str
    submits: int
    with_callbacks: str
    without: str


@pytest.mark.parametrize(
    "row",
    [
        CrashOutcome("before_intent", 1, "succeeded", "succeeded"),
        CrashOutcome("after_intent", 0, "failed", "failed"),
        CrashOutcome("half_sent", 0, "failed", "failed"),
        CrashOutcome("sent", 1, "succeeded", "failed"),
        CrashOutcome("after_post", 1, "succeeded", "failed"),
        CrashOutcome("after_save", 1, "succeeded", "succeeded"),
    ],
    ids=lambda row: row.point,
)
def test_crash_of_worker_submits_at_most_once(
    trial: Trial, crash_points: CrashPoints, row: CrashOutcome, callbacks: bool
) -> None:
    outcome = row.with_callbacks if callbacks else row.without
    crash_points.arm(row.point)
    names = trial.create(row.point)
    trial.wait_for_killed_worker()
    victim = crash_points.victim()
    if outcome == "failed":
        trial.wait_until_unconfirmed(victim)
    trial.start_workers()
    ended = trial.assert_ended_consistently(names)
    assert (ended[victim]["status"], trial.submits(victim)) == (outcome, row.submits)
    if callbacks:
        assert all(g["status"] == "succeeded" or trial.submits(name) == 0 for name, g in ended.items())


@pytest.mark.parametrize("point", ["before_create", "after_create"])
def test_crash_of_gateway_create_is_whole_or_absent(trial: Trial, crash_points: CrashPoints, point: str) -> None:
    """Other creates are running. The caller gets no response and repeats the create."""
    names = trial.create(point, count=2)
    prompt, key = f"{QUICK} unanswered {point}", f"order {point}"
    crash_points.arm(point)
    with pytest.raises(httpx.TransportError):
        trial.create_one(prompt, key=key)
    assert trial.stack.children["gateway"].process.wait(90) == -signal.SIGKILL
    trial.stack.start_gateway()
    ended = trial.assert_ended_consistently([*names, trial.create_one(prompt, key=key)])
    assert {g["status"] for g in ended.values()} == {"succeeded"}
    of_this = trial.tenant.http.get("/v1/generations", params={"end_user_id": f"of {prompt}"}).json()["data"]
    assert len(of_this) == 1


def test_crash_of_redis_during_submit_records_outcome(trial: Trial) -> None:
    """Until Redis is back, only the worker has the outcome of the submit."""
    names = trial.create("redis", sandbox=f"{QUICK} sandbox:slow-answer=1")
    worker = trial.stack.children["worker"]
    worker.wait_until(lambda: all(trial.submits(name) for name in names))
    trial.stack.redis.kill()
    worker.wait_until(lambda: all(answered(trial, name) for name in names))
    trial.stack.redis.restart()
    assert {g["status"] for g in trial.assert_ended_consistently(names).values()} == {"succeeded"}


def test_crash_of_beat_stops_no_dispatch(trial: Trial) -> None:
    trial.stack.children["beat"].kill()
    names = trial.create("beat")
    trial.stack.start_beat()
    assert {g["status"] for g in trial.assert_ended_consistently(names).values()} == {"succeeded"}


def test_submit_after_long_stop_is_not_sent(trial: Trial, crash_points: CrashPoints) -> None:
    crash_points.arm("stopped_after_intent")
    names = trial.create("stopped", count=2)
    stopped, other = stopped_and_other(trial)
    other.suspend()  # so that no process declares the intent lost meanwhile
    trial.tenant.read(crash_points.victim(), wait=1)  # longer than the greatest age of an intent
    resumed_at = datetime.now(UTC)
    stopped.resume()
    other.resume()
    g = trial.assert_ended_consistently(names)[crash_points.victim()]
    assert (g["status"], trial.submits(crash_points.victim())) == ("succeeded", 1)
    assert datetime.fromisoformat(g["submitted_at"]) > resumed_at, "by another intent"


def test_submit_of_stopped_worker_yields_to_another(trial: Trial, crash_points: CrashPoints) -> None:
    """The worker is stopped for longer than its lease, between claim and intent."""
    crash_points.arm("stopped_before_intent")
    names = trial.create("stopped", count=2)
    stopped, _ = stopped_and_other(trial)
    g = trial.tenant.wait_for(crash_points.victim(), lambda now: now["submitted_at"] is not None)
    assert g["submitted_at"] is not None
    stopped.resume()
    ended = trial.assert_ended_consistently(names)
    assert {g["status"] for g in ended.values()} == {"succeeded"}
    assert trial.submits(crash_points.victim()) == 1


def test_submit_not_sent_by_stopped_worker_costs_nothing(trial: Trial, crash_points: CrashPoints) -> None:
    crash_points.arm("stopped_after_intent")
    names = trial.create("stopped", count=2)
    stopped, _ = stopped_and_other(trial)
    trial.wait_until_unconfirmed(crash_points.victim())
    stopped.resume()
    g = trial.assert_ended_consistently(names)[crash_points.victim()]
    assert (g["status"], g["error"]["retryable"], g["cost"]["actual"]) == ("failed", True, "0.000000")
    assert trial.submits(crash_points.victim()) == 0


def stopped_and_other(trial: Trial) -> tuple[psutil.Process, psutil.Process]:
    """Return the worker that is stopped just before a POST, and the other worker."""
    give_up = time.monotonic() + 90
    workers = [psutil.Process(worker.pid) for worker in trial.workers]
    while psutil.STATUS_STOPPED not in (found := [worker.status() for worker in workers]):
        assert time.monotonic() < give_up, found
        time.sleep(0.02)
    stopped = found.index(psutil.STATUS_STOPPED)
    return workers[stopped], workers[1 - stopped]


def answered(trial: Trial, name: str) -> bool:
    """Use the log line that a worker writes before it writes to Redis."""
    lines = trial.stack.children["worker"].log.read_text().splitlines()
    return any(name in line and '"event":"submitted"' in line for line in lines)
