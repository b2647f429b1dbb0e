"""Workers with wrong clocks, no beat, a broker full of old hints: the other workers continue without delay."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import httpx
import pytest
import redis as redis_py
from prometheus_client.parser import text_string_to_metric_families

from service.cli.dev.child_processes import Child, free_port
from service.cli.dev.stack import Stack
from tests.e2e.conftest import OVERRIDES, client_of
from tests.support.chaos.clock_offset import start_misset_worker
from tests.support.chaos.trial import Trial
from tests.support.receiver import Receiver

SHIFTS = (timedelta(hours=3), timedelta(hours=-1))
OLD_HINTS = 20_000


@pytest.fixture
def workerless() -> Iterator[Stack]:
    with Stack(worker=False, overrides=OVERRIDES) as running:
        yield running


@pytest.fixture
def trial(workerless: Stack, receiver: Receiver) -> Iterator[Trial]:
    tenant = client_of(workerless)
    trial = Trial(workerless, tenant, receiver)
    with tenant.http, trial.reading():
        yield trial


def until(done: Callable[[], Any], *, within: float = 60) -> None:
    give_up = time.monotonic() + within
    while not done():
        assert time.monotonic() < give_up
        time.sleep(0.1)


def metric(port: int, name: str) -> list[float]:
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).raise_for_status().text
    return [s.value for family in text_string_to_metric_families(text) for s in family.samples if s.name == name]


def test_clock_wrong_workers_claim_nothing(trial: Trial) -> None:
    stack = trial.stack
    stack.start_worker()
    stack.start_beat()
    with ExitStack() as ending:
        wrong: list[tuple[Child, int]] = []
        for ahead in SHIFTS:
            port = free_port()
            child = start_misset_worker(stack, ahead, metrics_port=port)
            ending.callback(child.end)
            wrong.append((child, port))
        names = trial.create("wrong clocks", count=12)
        assert {g["status"] for g in trial.assert_ended_consistently(names).values()} == {"succeeded"}
        for (child, port), ahead in zip(wrong, SHIFTS, strict=True):
            assert sum(metric(port, "gateway_work_items_claimed_total")) == 0
            assert metric(port, "gateway_clock_skew_seconds") == [pytest.approx(ahead.total_seconds(), abs=60)]
            assert child.log.read_text().count('"event":"clock_wrong"') == 1
            assert "before" not in child.log.read_text(), "the worker made no transition"
        until(lambda: doctor_verdict(stack) == "fail")


def doctor_verdict(stack: Stack) -> str:
    result = subprocess.run(
        [sys.executable, "-m", "service.cli", "doctor", "--json"],
        env={**os.environ, **stack.environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    return next(str(f["status"]) for f in json.loads(result.stdout)["findings"] if f["check"] == "worker clocks")


def test_worker_without_beat_dispatches_before_a_hint_backlog(trial: Trial) -> None:
    """A worker claims due work at its start, before it has processed a backlog of hints in the broker.

    Later generations end too: no work depends on beat.
    """
    stack = trial.stack
    with redis_py.Redis.from_url(stack.redis.url) as broker:
        (name,) = trial.create("behind a backlog", count=1)
        until(lambda: broker.llen("{sg}:broker:dispatch") == 1)
        hint = json.loads(broker.lindex("{sg}:broker:dispatch", 0))
        broker.config_set("appendfsync", "no")
        with broker.pipeline(transaction=False) as pipe:
            for _ in range(OLD_HINTS):
                hint["headers"]["id"] = hint["properties"]["correlation_id"] = str(uuid.uuid4())
                hint["properties"]["delivery_tag"] = str(uuid.uuid4())
                pipe.rpush("{sg}:broker:dispatch", json.dumps(hint))
            pipe.execute()
        broker.config_set("appendfsync", "always")
        stack.start_worker()
        trial.tenant.wait_for(name, lambda g: g["status"] != "queued", within=60)
        assert broker.llen("{sg}:broker:dispatch") > 0, "the backlog was processed first"
        assert trial.tenant.ended(name)["status"] == "succeeded"
    names = trial.create("no beat", count=5)
    assert {g["status"] for g in trial.assert_ended_consistently(names).values()} == {"succeeded"}
