"""The one-call form: a server-sent event at the end of the generation, and comments until then."""

import asyncio
from typing import Any, Final

from fastapi import Request
from pydantic_core import to_json
from starlette.types import Receive, Scope, Send

from service.api.dialects.vercel import answers
from service.api.dialects.vercel.fields import VercelWarning
from service.api.v1.events import EventStream
from service.domain.stream import BEGINNING
from service.domain.tenant import Tenant
from service.usecases.generations.resends import Submission
from service.usecases.generations.stream import Snapshot
from service.usecases.tenants.caller import CredentialRef

#: Interval of the renewals of the response's lease, well within it.
_RENEWAL_SECONDS: Final = 0.5
#: Events of streams that end before the generation: after each of them the SDK sends the call again, and the gateway
#: then waits for the same generation.
_EARLY: Final = {
    "erased": ("The generation was deleted.", "not_found", 404),
    "refused": ("The API key is no longer valid.", "authentication_error", 401),
    "stopping": ("The gateway is stopping; send the call again.", "internal_server_error", 503),
    "too_long": ("The generation has not ended within the longest wait.", "internal_server_error", 504),
}


class ResultStream(EventStream):
    """One event. A call whose stream broke is recognized when it is sent again, and creates nothing."""

    first = b":\n\n"

    def __init__(
        self,
        request: Request,
        tenant: Tenant,
        credential: CredentialRef,
        submission: Submission,
        warnings: list[VercelWarning],
    ) -> None:
        super().__init__(request, tenant, credential, submission.generation.id)
        self._cursor = BEGINNING
        self._receipt = submission.receipt
        self._warnings = warnings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except BaseException:
            await self._receipt.lost()
            raise

    async def _continue(self, receive: Receive, send: Send) -> None:
        renewal = asyncio.create_task(self._renew(), name="lease")
        try:
            await super()._continue(receive, send)
        finally:
            renewal.cancel()

    async def _renew(self) -> None:
        while True:
            await self._receipt.prolong()
            await asyncio.sleep(_RENEWAL_SECONDS)

    def events_since(self, sight: Snapshot) -> bytes:  # noqa: ARG002
        return b""

    def last(self, reason: str) -> bytes:
        sight = self._feed.snapshot
        if reason == "finished" and sight is not None:
            return _frame(answers.event(sight.generation, self._warnings))
        return _frame(answers.fault_event(*_EARLY[reason]))

    async def ended(self, reason: str) -> None:
        await (self._receipt.delivered() if reason == "finished" else self._receipt.lost())


def _frame(event: dict[str, Any]) -> bytes:
    return b"data: " + to_json(event) + b"\n\n"
