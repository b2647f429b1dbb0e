"""The four work queues. Each has a due set in the store, a Celery task and a consumer."""

from enum import StrEnum


class WorkQueue(StrEnum):
    DISPATCH = "dispatch"
    """Queued generations to submit to fal."""
    POLL = "poll"
    """Jobs at fal to poll, and finished videos to copy."""
    DELIVER = "deliver"
    """Webhook deliveries to send."""
    SWEEP = "sweep"
    """Passed deadlines, purges, and jobs of operators."""
