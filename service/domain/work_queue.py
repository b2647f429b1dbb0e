"""The four kinds of waiting work. Each has a due set in the store, a task for the workers, and a runner."""

from enum import StrEnum


class WorkQueue(StrEnum):
    DISPATCH = "dispatch"
    """Queued generations to send upstream."""
    POLL = "poll"
    """Generations at fal to ask after."""
    DELIVER = "deliver"
    """Webhooks to send."""
    SWEEP = "sweep"
    """Deadlines that have passed."""
