"""Drafts of Seedance 2.5 that can be completed. A draft is valid for 7 days, for the whole account."""

import time
from dataclasses import dataclass

from sandbox import ids
from sandbox.outcome import Outcome, detail, model_error
from sandbox.schema import Request
from sandbox.settings import Settings

SECONDS_VALID = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Draft:
    request: Request
    seed: int
    render: bool  # the completion renders a video if the draft did
    expires_at: float


class Drafts:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._drafts: dict[str, Draft] = {}

    def add(self, request: Request, seed: int, *, render: bool) -> str:
        """Return the id of a new draft."""
        draft_id = ids.request_id()
        expires_at = time.time() + self._settings.scaled(SECONDS_VALID)
        self._drafts[draft_id] = Draft(request, seed, render, expires_at)
        return draft_id

    def completion(self, order: Request) -> Request | Outcome:
        """Return the draft's request with the resolution and the codec of the completion."""
        draft = self.find(order)
        if draft is None:
            entry = detail("value_error", "Draft not found or expired", ("body", "draft_id"), given=order.draft_id)
            return model_error(entry).at_once()
        changes = {"draft": False, "draft_id": order.draft_id, "resolution": order.resolution, "codec": order.codec}
        # fal publishes one price per second for completions: the input videos were billed with the draft.
        return draft.request.model_copy(update={**changes, "video_urls": None, "seed": draft.seed})

    def find(self, order: Request) -> Draft | None:
        draft = self._drafts.get(order.draft_id or "")
        return draft if draft and time.time() < draft.expires_at else None

    def clear(self) -> None:
        self._drafts.clear()
