"""What the writes of a generation have in common: its idempotency key and its rank in the queue of its tenant."""

from typing import Final

from service.domain import ids
from service.domain.generation import Generation
from service.domain.request import HIGHEST_PRIORITY
from service.store import keys

_MILLISECOND_BITS: Final = 42  # until the year 2109


def queue_rank(g: Generation) -> int:
    """Rank in its tenant's queue, by priority, then by age: a number that a double represents exactly."""
    return (HIGHEST_PRIORITY - g.priority << _MILLISECOND_BITS) + ids.milliseconds(g.created_at)


def idempotency_key(g: Generation) -> str:
    """Redis key of its idempotency key; the generation's own key if it has none, since a script expects every key."""
    digest = g.idempotency_digest
    return keys.generation(g.id) if digest is None else keys.idempotency(g.tenant_id, digest)
