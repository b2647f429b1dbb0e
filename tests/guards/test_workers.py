"""Gateway and workers share names, not code: these tests check that both sides match."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from service.domain.work_queue import WorkQueue
from service.tasks import QUEUE_OF, QUEUES, beat_schedule, task_name
from tests.guards.repository import ROOT
from tests.support import factories

#: Run in a separate process, as Celery starts it: the app reads the environment when it is imported.
SCRIPT = """
import json
import sys
from workers import app
import workers.beat
app.loader.import_default_modules()
print(json.dumps({
    "tasks": sorted(name for name in app.tasks if not name.startswith("celery.")),
    "queues": sorted(app.amqp.queues.consume_from),
    "routes": {
        name: app.amqp.router.route({}, name)["queue"].name for name in app.tasks if name.startswith("workers.")
    },
    "exchanges": sorted(queue.exchange.name for queue in app.amqp.queues.consume_from.values()),
    "beat": sorted(app.conf.beat_schedule),
    "results": app.conf.task_ignore_result,
    "backend": app.conf.result_backend,
    "pool": app.conf.worker_pool,
    "runtime": "service.runtime" in sys.modules,
}))
"""


@pytest.fixture(scope="module")
def worker() -> dict[str, Any]:
    environment = factories.settings("redis://127.0.0.1:9/0").environment()
    command = [sys.executable, "-c", SCRIPT]
    result = subprocess.run(
        command, env={**os.environ, **environment}, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    configuration: dict[str, Any] = json.loads(result.stdout)
    return configuration


def test_tasks_are_the_work_queues(worker: dict[str, Any]) -> None:
    assert worker["tasks"] == sorted(task_name(drain) for drain in WorkQueue)


def test_beat_imports_no_runtime(worker: dict[str, Any]) -> None:
    """The runtime is half of the imports of a worker: beat starts in half the time without it."""
    assert not worker["runtime"]


def test_worker_without_options_consumes_every_queue(worker: dict[str, Any]) -> None:
    assert worker["queues"] == sorted(QUEUES)
    assert QUEUES == ("dispatch", "webhooks", "maintenance"), "operators start workers by these names"
    assert set(QUEUE_OF) == set(WorkQueue)
    assert set(QUEUE_OF.values()) == set(QUEUES)


def test_tasks_are_routed_to_their_queue(worker: dict[str, Any]) -> None:
    assert worker["routes"] == {task_name(drain): QUEUE_OF[drain] for drain in WorkQueue}


def test_queues_have_their_own_exchange(worker: dict[str, Any]) -> None:
    """With a shared exchange every message would reach all queues."""
    assert worker["exchanges"] == sorted(QUEUES)


def test_beat_nudges_every_work_queue(worker: dict[str, Any]) -> None:
    schedule = beat_schedule()

    assert worker["beat"] == sorted(schedule) == sorted(WorkQueue)
    assert {entry["task"] for entry in schedule.values()} == {task_name(drain) for drain in WorkQueue}
    assert {entry["options"]["queue"] for entry in schedule.values()} == set(QUEUES)


def test_worker_has_no_result_backend_and_does_not_fork(worker: dict[str, Any]) -> None:
    assert (worker["results"], worker["backend"], worker["pool"]) == (True, None, "threads")


def test_queues_are_consumed_in_compose() -> None:
    """If a worker consumes only some queues, another worker must consume the others."""
    tokens = (ROOT / "deploy/compose.yaml").read_text().replace('"', " ").replace(",", " ").replace("]", " ").split()
    if "-Q" in tokens or "--queues" in tokens:
        assert set(QUEUES) <= set(tokens)
