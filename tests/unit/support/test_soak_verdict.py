"""The verdict on curves: leaks, and curves without a leak that grow for a time."""

import math
import random
from collections.abc import Callable

import pytest

from tests.support.soak.curves import Bound, judge
from tests.support.soak.findings import BOUNDS, Findings
from tests.support.soak.keyspace import kind_of

MINUTES = 30
INTERVAL = 10
MEMORY = BOUNDS["uss_mb"]

Curve = Callable[[float], float]
"""The value at a minute."""


def samples(curve: Curve, *, noise: float = 0.0, minutes: float = MINUTES) -> list[tuple[float, float]]:
    rng = random.Random(1)  # noqa: S311  (the same noise in each run)
    times = range(0, round(minutes * 60), INTERVAL)
    return [(float(at), curve(at / 60) + rng.uniform(0, noise)) for at in times]


GOOD: dict[str, tuple[Curve, float]] = {
    "constant": (lambda _: 90.0, 0.0),
    "noise of 3 MB": (lambda _: 90.0, 3.0),
    "warm-up that fades": (lambda minute: 90 + 15 * (1 - math.exp(-minute / 2.5)), 0.5),
    "one step of 10 MB": (lambda minute: 90 + 10 * (minute > 18), 0.5),
    "step at the end": (lambda minute: 90 + 10 * (minute > 27), 0.5),
    "spikes of 40 MB": (lambda minute: 90 + 40 * (round(minute * 6) % 5 == 0), 0.5),
    "load that grows": (lambda minute: 90 + minute * (round(minute * 6) % 4 != 0), 0.5),
    "saw tooth": (lambda minute: 90 + 5 * (minute % 4), 0.5),
    "falls": (lambda minute: 120 - minute, 0.5),
}
BAD: dict[str, tuple[Curve, float]] = {
    "12 MB an hour": (lambda minute: 90 + minute / 5, 0.5),
    "12 MB an hour and noise of 3 MB": (lambda minute: 90 + minute / 5, 3.0),
    "a step every minute": (lambda minute: 90 + math.floor(minute), 0.5),
    "faster and faster": (lambda minute: 90 + minute**2 / 100, 0.5),
    "leak under a saw tooth": (lambda minute: 90 + 5 * (minute % 4) + minute / 4, 0.5),
}


@pytest.mark.parametrize("name", GOOD)
def test_curve_without_leak_is_flat(name: str) -> None:
    curve, noise = GOOD[name]
    assert judge(samples(curve, noise=noise), MEMORY).is_flat


@pytest.mark.parametrize("name", BAD)
def test_curve_with_leak_is_not_flat(name: str) -> None:
    curve, noise = BAD[name]
    assert not judge(samples(curve, noise=noise), MEMORY).is_flat


def test_curve_growth_is_per_hour() -> None:
    found = judge(samples(lambda minute: minute), Bound(per_hour=50, noise=0))
    assert found.growth == pytest.approx(60, rel=0.1)
    assert not found.is_flat


def test_curve_short_run_allows_the_noise_of_a_part() -> None:
    """In a minute, 1 MB is 240 MB an hour: no leak, and no proof of none."""
    short = judge(samples(lambda minute: 90 + minute, minutes=2), MEMORY)
    assert short.is_flat
    assert short.allowed > 100


@pytest.mark.parametrize("minutes", [0, 0.1, 1])
def test_curve_with_few_samples_is_refused(minutes: float) -> None:
    with pytest.raises(ValueError, match="too few"):
        judge(samples(lambda _: 1.0, minutes=minutes), MEMORY)


def test_findings_name_the_growing_curve() -> None:
    findings = Findings()
    findings.judge(
        {
            ("uss_mb", "gateway"): samples(lambda minute: 90 + minute),
            ("uss_mb", "beat"): samples(lambda _: 70.0),
            ("keys", "generation:*"): samples(lambda minute: 5 * minute),
            ("uss_mb", "sandbox"): samples(lambda minute: 50 + minute),
            ("elements", "ledger"): samples(lambda minute: 90 * minute),
            ("elements", "trail"): samples(lambda minute: 60 * minute),
        }
    )
    assert [text.partition(":")[0] for text in findings.failures] == [
        "keys of generation",
        "uss_mb of gateway grows",
    ]
    assert "GROWS" in findings.table()


def test_findings_of_an_overloaded_machine_blame_no_key() -> None:
    findings = Findings()
    grows = samples(lambda minute: 50 * minute)
    findings.judge({("elements", "tenant:*:queued"): grows, ("keys", "generation:*"): grows, ("uss_mb", "beat"): grows})
    assert [text.partition(":")[0] for text in findings.failures] == [
        "the load was more than this machine processes",
        "uss_mb of beat grows",
    ]


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("{sg}:generation:gen_06h082q4e8x4s0m6y0m5z3g2vc", "generation:*"),
        ("{sg}:idempotency:ten_06h082q4e8x4s0m6y0m5z3g2vc:9f86d081884c7d65", "idempotency:*:*"),
        ("{sg}:undelivered_responses:ten_06h082q4e8x4s0m6y0m5z3g2vc:9f86d081", "undelivered_responses:*:*"),
        ("{sg}:usage:ten_06h082q4e8x4s0m6y0m5z3g2vc:2026-01-31:end_users", "usage:*:*:end_users"),
        ("{sg}:due:deliver:unproven", "due:deliver:unproven"),
        ("{sg}:worker:host:4711:skew", "worker:host:*:skew"),
        ("{sg}:broker:_kombu.binding.dispatch", "broker:_kombu.binding.dispatch"),
    ],
)
def test_kind_of_key_has_no_ids(key: str, kind: str) -> None:
    assert kind_of(key) == kind
