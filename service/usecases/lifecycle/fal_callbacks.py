"""Callbacks from fal: verify and store them, and make a poll due at once.

The poll evaluates the stored callback, so that callbacks and polls end a generation in the same way.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NoReturn

from service.clock import Clock
from service.domain import ids
from service.domain.outcomes import Succeeded
from service.errors import Malformed, Unauthenticated, UpstreamUnavailable
from service.observability import log, metrics, tracing
from service.store.generations.callbacks import CallbackStore
from service.tasks import Nudger
from service.upstream.callback_verification import Verifier
from service.upstream.results import callback_outcome, read_callback
from service.usecases.log_context import bind_generation

#: One text for all reasons: an attacker learns neither which ids exist, nor which part of a guess was right.
_REFUSAL: Final = "This is not a callback from fal for a generation of this gateway."


class Callbacks:
    def __init__(self, callbacks: CallbackStore, verifier: Verifier, nudger: Nudger, *, clock: Clock) -> None:
        self._callbacks = callbacks
        self._verifier = verifier
        self._nudger = nudger
        self._clock = clock
        self._log = log.get(__name__)

    async def receive(self, generation_id: str, token: str, headers: Mapping[str, str], body: bytes) -> None:
        """Return once the callback is stored, or is known to change nothing.

        Raises:
            Unauthenticated: fal did not sign it, or its timestamp is too old, or no generation has this token.
            Malformed: fal signed it, but it contains no request id.
            UpstreamUnavailable: fal's signing keys are unavailable, so that the signature cannot be verified.

        """
        now = self._clock()
        verdict = await self._verifier.verify(headers, body, now)
        if verdict == "keys_unavailable":
            metrics.CALLBACKS.labels("keys_unavailable").inc()
            raise UpstreamUnavailable("fal's signing keys are unavailable.")
        if verdict != "authentic":
            self._refuse(verdict)
        if (callback := read_callback(body)) is None:
            metrics.CALLBACKS.labels("unreadable").inc()
            raise Malformed("The callback contains no request id.")
        if not ids.is_id(ids.GENERATION, generation_id):
            self._refuse("token")
        succeeded = isinstance(callback_outcome(callback), Succeeded)
        received = await self._callbacks.receive(generation_id, token, callback, now=now, succeeded=succeeded)
        if received.reception == "unknown":
            self._refuse("token")
        metrics.CALLBACKS.labels(received.reception).inc()
        if tracing.is_on():
            await self._trace(generation_id, received.reception, now)
        self._log.info(
            "callback_received",
            generation_id=generation_id,
            fal_request_id=callback.request_id,
            outcome=received.reception,
        )
        if received.reception == "paid_and_lost":
            self._log.error("paid_and_lost", generation_id=generation_id, fal_request_id=callback.request_id)
        self._nudger.nudge_all(received.nudges)

    async def _trace(self, generation_id: str, reception: str, begun: datetime) -> None:
        """Record a span. It comes after the verification, so that a forged callback is in no trace."""
        g, _ = await self._callbacks.load(generation_id)
        if g is not None:
            bind_generation(g)
            tracing.record_past(
                "generation.callback",
                parent=g.traceparent,
                begun=begun,
                ended=self._clock(),
                generation=g.id,
                tenant=g.tenant_id,
                outcome=reception,
            )

    @staticmethod
    def _refuse(outcome: str) -> NoReturn:
        metrics.CALLBACKS.labels(outcome).inc()
        raise Unauthenticated(_REFUSAL)
