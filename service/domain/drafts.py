"""Drafts: videos that fal can render again at 1080p for some days. A completion is a generation of its own.

fal's id of a draft is valid for all tenants of the account. Callers name the generation of the draft instead, and never
receive fal's id.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from service.domain.generation import Generation

#: Of completions, and of the direct create that the usage compares drafts with.
RESOLUTION: Final = "1080p"
#: How long fal can complete a draft, from the end of the draft.
WINDOW: Final = timedelta(days=7)
#: Parts of a completion's input that fal takes from the draft. The record has them for the price.
_NOT_SENT: Final = ("duration", "generate_audio")


@dataclass(frozen=True, slots=True)
class Draft:
    """What a completion takes from the generation of its draft."""

    generation_id: str
    fal_id: str
    until: datetime
    """The end of the window."""
    duration: str
    """Seconds. If fal chose the duration of the draft: the most that it can be by the bill."""
    has_audio: bool
    end_user_id: str | None


def completable_until(g: Generation) -> datetime | None:
    """Return when the window of a draft ends; None: fal cannot complete it.

    The window of a tenant with a shorter retention ends with the deletion of the draft.
    """
    ended_at = g.fal_ended_at or g.finished_at
    if not g.is_draft or ended_at is None or g.output is None or g.output.draft_id is None:
        return None
    until = ended_at + WINDOW
    if g.retention is None or g.finished_at is None:
        return until
    return min(until, g.finished_at + g.retention)


def arguments(g: Generation) -> dict[str, Any]:
    """Return the input that fal receives. A completion has fal's id of the draft."""
    if g.draft_id is None:
        return g.input
    return {
        "draft_id": g.draft_id,
        **{name: value for name, value in g.input.items() if name not in _NOT_SENT},
    }
