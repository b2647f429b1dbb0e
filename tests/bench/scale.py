"""How much is measured: all of it, or as much as fits into two minutes."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Scale:
    rounds: int
    """Of each server, in turn."""
    round_seconds: float
    samples: int
    """Of a latency."""
    queued: int
    """Generations whose bytes are counted."""
    dispatch_tenants: int
    """Each with 100 generations queued."""
    in_flight: int
    watched: int
    """Generations whose tenants' gauges are read."""
    streams: int
    """Event streams open at a time."""
    watched_seconds: float
    """How long polling is watched once all are in flight."""
    deliveries: int
    paced_seconds: float
    """How long events come to the healthy one of two receivers."""


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
    paced_seconds=8,
)
