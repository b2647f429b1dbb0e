"""The size of a run: full, or as much as two minutes allow."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Scale:
    rounds: int
    """Seconds for each server, in turn."""
    round_seconds: float
    samples: int
    """Samples of a latency."""
    queued: int
    """Generations whose bytes are measured."""
    dispatch_tenants: int
    """Tenants with 100 queued generations each."""
    in_flight: int
    watched: int
    """Generations whose tenants' gauges are read."""
    streams: int
    """Concurrent event streams."""
    watched_seconds: float
    """Seconds for which polls are measured when all generations are in flight."""
    deliveries: int
    console_rows: int
    """Rows of all indexes; a seventh of them are generations."""
    paced_seconds: float
    """Seconds in which the healthy one of two receivers gets events."""


FULL: Final = Scale(
    rounds=16,
    round_seconds=1.2,
    samples=40,
    queued=10_000,
    dispatch_tenants=1000,
    in_flight=50_000,
    watched=100_000,
    streams=2_000,
    watched_seconds=60,
    deliveries=10_000,
    console_rows=7_200_000,
    paced_seconds=20,
)
QUICK: Final = Scale(
    rounds=4,
    round_seconds=1.0,
    samples=12,
    queued=5_000,
    dispatch_tenants=1000,
    in_flight=1_000,
    watched=10_000,
    streams=2_000,
    watched_seconds=12,
    deliveries=4_000,
    console_rows=1_000_000,
    paced_seconds=8,
)
