"""Who dies where, with callbacks and without: what was accepted ends, is paid once at most, and is told of once."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

import sandbox
from service.cli.stack import Stack
from service.settings import Settings
from tests.e2e.conftest import OVERRIDES, client_of
from tests.e2e.crashing import QUICK, Trial
from tests.e2e.doomed import FOLDER, MODULE, Doom
from tests.guards.repository import ROOT
from tests.receiver import Receiver

#: An unknown submit is declared so within three seconds, and given up two seconds later.
PATIENCE = {
    "fal_timeout": timedelta(seconds=2),
    "unconfirmed_deadline": timedelta(seconds=5),
    "webhook_timeout": timedelta(seconds=2),
}
WITHOUT_CALLBACKS: dict[str, Any] = {"public_url": None} if "public_url" in Settings.model_fields else {}


@pytest.fixture(scope="module", params=["callbacks", "polling"])
def callbacks(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "callbacks") and "public_url" in Settings.model_fields


@pytest.fixture(scope="module")
def doom(tmp_path_factory: pytest.TempPathFactory) -> Doom:
    return Doom(tmp_path_factory.mktemp("doom"))


@pytest.fixture(scope="module")
def trial(callbacks: bool, doom: Doom) -> Iterator[Trial]:
    overrides = {**OVERRIDES, **PATIENCE, **({} if callbacks else WITHOUT_CALLBACKS)}
    with pytest.MonkeyPatch.context() as patch, Receiver() as receiver:
        patch.setenv(FOLDER, str(doom.folder))
        paths = (ROOT, Path(sandbox.__file__).parents[1], os.environ.get("PYTHONPATH", ""))
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, paths)))
        with Stack(gateway_module=MODULE, worker_app=MODULE, overrides=overrides) as stack:
            tenant = client_of(stack)
            with tenant.http:
                yield Trial(stack, tenant, receiver)


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
    trial.died("worker")
    trial.stack.start_worker()
    victim = doom.victim()
    if outcome == "failed":
        trial.tenant.wait_for(victim, lambda g: g["status"] == "unconfirmed")
        trial.keeps_its_hold(victim)
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
    trial.died("gateway")
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
    names, victim, worker = stopped_after_intent(trial, doom)
    trial.tenant.read(victim, wait=1)  # longer than it may hesitate
    resumed_at = datetime.now(UTC)
    worker.resume()
    g = trial.prove(names)[victim]
    assert (g["status"], trial.submits(victim)) == ("succeeded", 1)
    assert datetime.fromisoformat(g["submitted_at"]) > resumed_at, "by another intent"


def test_a_worker_that_was_given_up_says_what_it_has_not_sent(trial: Trial, doom: Doom) -> None:
    names, victim, worker = stopped_after_intent(trial, doom)
    stopped = trial.stack.children["worker"]
    try:
        trial.stack.start_worker()
        trial.tenant.wait_for(victim, lambda g: g["status"] == "unconfirmed")
        worker.resume()
        g = trial.prove(names)[victim]
        assert (g["status"], g["error"]["retryable"], g["cost"]["actual"]) == ("failed", True, "0.000000")
        assert trial.submits(victim) == 0
    finally:
        stopped.kill()


def stopped_after_intent(trial: Trial, doom: Doom) -> tuple[list[str], str, psutil.Process]:
    """Generations, and the worker that SIGSTOP has caught just before the POST of one of them."""
    doom.arm("stopped_after_intent")
    names = trial.create("stopped", count=2)
    child = trial.stack.children["worker"]
    worker = psutil.Process(child.pid)
    child.wait_until(lambda: worker.status() == psutil.STATUS_STOPPED)
    return names, doom.victim(), worker


def answered(trial: Trial, name: str) -> bool:
    """By the line that a worker writes before it tells Redis."""
    lines = trial.stack.children["worker"].log.read_text().splitlines()
    return any(name in line and '"event":"submitted"' in line for line in lines)
