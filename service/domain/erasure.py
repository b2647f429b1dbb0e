"""Progress and job name of an erasure. The job is durable from its start."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

_PREFIX: Final = "erasure"

State = Literal["running", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """Progress of the erasure of one end user."""

    tenant_id: str
    pseudonym: str
    state: State
    generations: int
    """Generations erased so far."""
    in_flight: int
    """Those of them that fal had at the time. Their data is removed; the records are purged when they end."""
    deliveries: int = 0
    """Webhook deliveries erased so far, with their bodies."""
    videos: int = 0
    """Videos deleted from the video store so far."""
    is_blocked: bool = False
    """Whether a block of the end user stays."""
    remaining: int
    """Generations that are not erased yet."""
    started_at: datetime
    finished_at: datetime | None = None


def job_name(tenant_id: str, pseudonym: str) -> str:
    """Return the name of the erasure job in the due set of the sweep."""
    return f"{_PREFIX}:{tenant_id}:{pseudonym}"


def of_job(name: str) -> tuple[str, str] | None:
    """Return tenant id and pseudonym of an erasure job; None: the name is not one of an erasure job."""
    head, *rest = name.split(":")
    return (rest[0], rest[1]) if head == _PREFIX and len(rest) == 2 else None
