"""How often a client that polls should ask about a generation."""

from typing import Final

from service.domain.generation import Generation
from service.domain.generation_view import QueueView

_SHORTEST: Final = 1.0
_LONGEST: Final = 5.0
#: fal renders for one to five minutes.
_RENDERING: Final = 2.0


def poll_after(g: Generation, queue: QueueView | None) -> float | None:
    """Return the seconds until the next poll; None: the generation has ended.

    Clients keep the first interval for all their polls, so even a long queue has a short one.
    """
    if g.is_terminal:
        return None
    if queue is None:
        return _RENDERING
    start = queue["estimated_start_seconds"]
    return _LONGEST if start is None else min(max(start, _SHORTEST), _LONGEST)
