"""Completions of drafts: what a draft must be for them, and what they take from it."""

from datetime import datetime
from typing import Final

from service.clock import Clock
from service.domain import drafts
from service.domain.drafts import Draft
from service.domain.generation import Generation
from service.domain.generation_view import rfc3339
from service.domain.models.forms import RequestForm, RequestForms
from service.domain.models.model import Model
from service.domain.models.registry import Registry
from service.domain.pricing import Prices
from service.domain.status import Status
from service.domain.tenant import Tenant
from service.errors import DraftExpired, DraftFailed, DraftNotReady, ModelForbidden, NotADraft
from service.usecases.generations.read import GenerationReader

_NOT_ENABLED: Final = "No model that completes drafts is enabled in this deployment."
_NO_RESOLUTION: Final = f"Drafts are completed at {drafts.RESOLUTION}, which this deployment does not allow."


def form_of(forms: RequestForms, model_id: str | None = None) -> RequestForm:
    """Return the form of completions of a model's drafts, else of any model's. Raises ModelForbidden."""
    model = forms.registry.completion_of(model_id) or forms.registry.completion_of(None)
    if model is None:
        raise ModelForbidden(_NOT_ENABLED)
    form = forms.of(model)
    if drafts.RESOLUTION not in form.limits().resolutions:
        raise ModelForbidden(_NO_RESOLUTION)
    return form


class Drafts:
    """Finds the draft that a request completes."""

    def __init__(self, reader: GenerationReader, models: Registry, prices: Prices, *, clock: Clock) -> None:
        self._reader = reader
        self._models = models
        self._prices = prices
        self._clock = clock

    async def find(self, tenant: Tenant, generation_id: str, model: Model | None) -> Draft:
        """Return the draft of a generation for a completion with this model.

        Raises:
            NotFound: there is no such generation, or it belongs to another tenant.
            NotADraft: the generation is no draft, or one of another family of models.
            DraftNotReady: it has not ended.
            DraftFailed: it ended without a video that fal can complete.
            DraftExpired: the time in which fal can complete it has ended.

        """
        g = await self._reader.get(tenant, generation_id)
        if not g.is_draft or self._models.completion_of(g.model) is not model:
            raise NotADraft(f"{g.id} is not a draft that can be completed.")
        return self._completable(g, self._clock())

    def _completable(self, g: Generation, now: datetime) -> Draft:
        if not g.is_terminal:
            raise DraftNotReady(f"The draft has not ended: it is {g.public_status}.")
        if g.status is not Status.SUCCEEDED:
            raise DraftFailed(f"The draft has no video: it is {g.public_status}.")
        until = drafts.completable_until(g)
        if until is None or g.output is None or g.output.draft_id is None:
            raise DraftFailed("fal returned no draft that could be completed, or the end user was erased.")
        if now >= until:
            raise DraftExpired(f"The draft could be completed until {rfc3339(until)}.")
        resolution, duration = g.input["resolution"], g.input["duration"]
        seconds = self._prices.of(g.model).longest_billed(
            resolution, duration, g.billable_units, input_seconds=g.input_seconds
        )
        return Draft(
            g.id, g.output.draft_id, until, str(seconds), g.input.get("generate_audio") is not False, g.end_user_id
        )
