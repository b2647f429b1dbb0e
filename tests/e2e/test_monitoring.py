"""A loaded stack under a real Prometheus: every query has data, and a fault at fal fires its own alert only.

Windows and waits of the alerts are divided by 60: a minute takes a second.
"""

import itertools
import json
import math
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitoring import rules
from service.cli.dev.child_processes import free_port
from service.cli.dev.stack import Stack
from service.tasks import QUEUES
from tests.e2e.conftest import TenantClient, client_of
from tests.monitoring import documents
from tests.support.prometheus import Prometheus
from tests.support.receiver import Receiver

_SHORTENED = 60
#: Seconds between two creates of the load.
_PAUSE = 0.15


@dataclass
class Load:
    """A tenant that creates generations continuously. ``prompt`` can be changed meanwhile."""

    tenant: TenantClient
    webhook_url: str
    prompt: str = "sandbox:no-video"

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._create_on, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _create_on(self) -> None:
        for number in itertools.count():
            created = self.tenant.create(f"{self.prompt} {number}", webhook_url=self.webhook_url)
            self.tenant.read(created["id"])
            if self._stop.wait(_PAUSE):
                return


@dataclass(frozen=True)
class AlertWatch:
    """Waits for alerts. Fails if an unexpected alert fires."""

    prometheus: Prometheus

    def until(self, reached: Callable[[set[str]], bool], *, allowed: set[str], within: float) -> None:
        give_up = time.monotonic() + within
        while not reached(firing := self.prometheus.firing()):
            assert firing <= allowed, self.prometheus.alerts()
            assert time.monotonic() < give_up, f"{firing} after {within} s: {self.prometheus.alerts()}"
            time.sleep(0.2)
        assert firing <= allowed, self.prometheus.alerts()

    def fires(self, alert: str, *, within: float) -> None:
        self.until(lambda firing: alert in firing, allowed={alert}, within=within)

    def resolves(self, alert: str, *, within: float) -> None:
        self.until(lambda firing: not firing, allowed={alert}, within=within)


@pytest.fixture
def stack() -> Iterator[Stack]:
    overrides = {
        "metrics_port": free_port(),
        "poll_shortest": timedelta(seconds=0.3),
        "submit_probe": timedelta(seconds=0.5),
        "submit_probe_longest": timedelta(seconds=0.5),
        "account_daily_budget_usd": Decimal(1_000_000),
    }
    with Stack(overrides=overrides, sandbox_speed=40) as running:
        yield running


@pytest.fixture
def prometheus(stack: Stack, tmp_path: Path) -> Iterator[Prometheus]:
    until(lambda: has_all_heartbeats(stack), within=100)
    jobs = {"gateway": urlsplit(stack.metrics_url).port or 0, "worker": stack.settings.metrics_port}
    with Prometheus(tmp_path, rules.document(_SHORTENED), jobs) as running:
        yield running


@pytest.fixture
def load(stack: Stack, receiver: Receiver) -> Iterator[Load]:
    with client_of(stack).http as client, Load(TenantClient(client, stack), receiver.url) as running:
        yield running


def test_dashboards_have_data_and_faults_fire_alerts(stack: Stack, load: Load, prometheus: Prometheus) -> None:
    give_a_budget(stack)
    watch = AlertWatch(prometheus)

    until(lambda: not without_data(prometheus), within=150, why=lambda: without_data(prometheus))
    assert prometheus.values("tenant", of="gateway_queued") == [stack.tenant_id]
    until(lambda: not prometheus.unhealthy_rules(), within=50, why=prometheus.unhealthy_rules)
    assert [name for name in series_of_alerts() if not prometheus.query(name)] == []
    watch.until(lambda firing: not firing, allowed=set(), within=1)

    with faults(stack, account={"kind": "locked"}):
        watch.fires("AccountLocked", within=75)
    watch.resolves("AccountLocked", within=75)

    with faults(stack, submit={"kind": "503"}):
        watch.fires("SubmitsFailing", within=125)
    watch.resolves("SubmitsFailing", within=75)

    with faults(stack, submit={"kind": "lost-answer", "times": 1}, webhook={"kind": "lost"}):
        watch.fires("SubmitsUnconfirmed", within=125)
        resolve_as_in_the_runbook(stack)
        watch.resolves("SubmitsUnconfirmed", within=50)

    load.prompt = "sandbox:no-video sandbox:error-500"
    watch.fires("CompletionSloBurning", within=100)
    load.prompt = "sandbox:no-video"
    over = {"alertname": "CompletionSloBurning", "window": "1h"}
    until(lambda: not any(alert["labels"].items() >= over.items() for alert in prometheus.alerts()), within=100)
    watch.until(lambda _: True, allowed={"CompletionSloBurning"}, within=1)


def without_data(prometheus: Prometheus) -> list[str]:
    return [
        name for name, query in documents.queries() if not has_data(prometheus.query(with_grafana_variables(query)))
    ]


def has_data(samples: list[Any]) -> bool:
    return any(not math.isnan(float(sample["value"][1])) for sample in samples)


def with_grafana_variables(query: str) -> str:
    return query.replace("$__rate_interval", "10s").replace("$tenant", ".*")


def series_of_alerts() -> list[str]:
    """Return every series that the expression of an alert reads."""
    found = re.findall(
        r"\b((gateway_\w+|slo:[\w:]+)(?:\{[^}]*\})?)", " ".join(rule["expr"] for rule in documents.rules())
    )
    return sorted({selector for selector, _ in found})


@contextmanager
def faults(stack: Stack, **faults: Any) -> Iterator[None]:
    url = f"{stack.sandbox_url}/_sandbox/faults"
    httpx.post(url, content=json.dumps(faults)).raise_for_status()
    try:
        yield
    finally:
        httpx.delete(url).raise_for_status()


@contextmanager
def operator(stack: Stack) -> Iterator[httpx.Client]:
    token = stack.settings.admin_token
    assert token is not None
    headers = {"authorization": f"Bearer {token.get_secret_value()}"}
    with httpx.Client(base_url=f"{stack.base_url}/admin/v1", headers=headers, timeout=20) as client:
        yield client


def give_a_budget(stack: Stack) -> None:
    with operator(stack) as admin:
        changed = admin.patch(f"/tenants/{stack.tenant_id}", json={"limits": {"monthly_budget_usd": "1000000"}})
        assert changed.status_code == 200, changed.text


def resolve_as_in_the_runbook(stack: Stack) -> None:
    """Find the job at fal by its prompt, and resolve the generation with its request id."""
    submits = httpx.get(f"{stack.sandbox_url}/_sandbox/requests").raise_for_status().json()
    with operator(stack) as admin:
        (waiting,) = admin.get("/unconfirmed").raise_for_status().json()["data"]
        prompt = admin.get(f"/generations/{waiting['id']}").raise_for_status().json()["input"]["prompt"]
        (request_id,) = (submit["request_id"] for submit in submits if submit["prompt"] == prompt)
        body = {"fal_request_id": request_id, "reason": "found in fal's dashboard"}
        admin.post(f"/generations/{waiting['id']}/resolve", json=body).raise_for_status()


def has_all_heartbeats(stack: Stack) -> bool:
    """Return whether worker and beat have sent heartbeats. Prometheus starts after that."""
    text = httpx.get(stack.metrics_url).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    there = {sample.labels["queue"] for sample in samples if sample.name == "gateway_workers" and sample.value == 1}
    return there == set(QUEUES) and any(sample.name == "gateway_beat_age_seconds" for sample in samples)


def until(done: Callable[[], bool], *, within: float, why: Callable[[], object] = str) -> None:
    give_up = time.monotonic() + within
    while not done():
        assert time.monotonic() < give_up, why()
        time.sleep(0.2)
