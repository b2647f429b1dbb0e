"""Erasing an end user: a job that is durable from its begin, with progress."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

_PREFIX: Final = "erasure"

State = Literal["running", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    tenant_id: str
    pseudonym: str
    state: State
    generations: int
    """Erased so far."""
    in_flight: int
    """Of these: at fal when they were erased. Stripped of all they held, and forgotten as soon as they end."""
    remaining: int
    """Not erased yet."""
    started_at: datetime
    finished_at: datetime | None = None


def job_name(tenant_id: str, pseudonym: str) -> str:
    """Of the erasure in the sweep's due set."""
    return f"{_PREFIX}:{tenant_id}:{pseudonym}"


def of_job(name: str) -> tuple[str, str] | None:
    """Tenant id and pseudonym; None: the name is not an erasure's."""
    head, *rest = name.split(":")
    return (rest[0], rest[1]) if head == _PREFIX and len(rest) == 2 else None
