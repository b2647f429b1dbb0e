"""Cancels."""

from service.clock import Clock
from service.domain import transitions
from service.domain.generation import Generation
from service.domain.tenant import Tenant
from service.usecases.generations.read import GenerationReader
from service.usecases.lifecycle.transition_service import TransitionService
from service.usecases.trail.recording import note_values


class GenerationCanceller:
    def __init__(self, reader: GenerationReader, transition_service: TransitionService, *, clock: Clock) -> None:
        self._reader = reader
        self._transitions = transition_service
        self._clock = clock

    async def cancel(self, tenant: Tenant, generation_id: str) -> Generation:
        """Cancel at once while the generation is queued; after its submit, record the request: workers pass it to fal.

        Raises:
            NotFound: there is none, or it is another tenant's.
            NotCancellable: it has ended.

        """
        before = await self._reader.get(tenant, generation_id)
        g = await self.request(generation_id) or await self._reader.get(tenant, generation_id)
        note_cancel(before, g)
        return g

    async def request(self, generation_id: str) -> Generation | None:
        """Do the same with a generation of any tenant; None: there is none, or a cancel was requested before.

        Raises:
            NotCancellable: it has ended.

        """
        now = self._clock()
        g = await self._transitions.apply(generation_id, lambda current: transitions.cancel(current, now))
        if g is None:  # no change, or fal has reported a job that was queued again after a refusal
            g = await self._transitions.apply(generation_id, lambda current: transitions.request_cancel(current, now))
        return g


def note_cancel(before: Generation, after: Generation) -> None:
    """Record what a cancel has changed."""
    note_values(
        status=(before.public_status, after.public_status),
        cancel_requested=(before.cancel_requested_at is not None, after.cancel_requested_at is not None),
    )
