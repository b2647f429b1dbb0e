"""Faults of the network between two hosts; `make netfaults` has all links and all faults, for longer."""

import secrets
from pathlib import Path

from tests.support.chaos.run import Plan
from tests.support.netfaults.run import Case, run

SECONDS = 5.0
CASES = (
    Case("gateway-redis", "partition", SECONDS),
    Case("worker-fal", "partition", SECONDS),
    Case("worker-redis", "half-open", SECONDS),
    Case("worker-receiver", "half-open", SECONDS),
)


def test_network_faults_lose_and_repeat_nothing(tmp_path: Path) -> None:
    """Exchanges with Redis and calls to fal end during the fault: their time limits are shorter than it."""
    plan = Plan(secrets.randbelow(10**6), seconds=60, jobs=60)
    rows, report = run(CASES, plan=plan, folder=tmp_path, redis_timeout=2.0)
    assert not report.failures, report.table()
    assert not [row.text() for row in rows if row.failures]
