"""Rotation and revocation of credentials: the same for API keys of tenants and for tokens of operators."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

from service.clock import Clock
from service.domain.credential import Credential
from service.domain.generation_view import rfc3339
from service.errors import Conflict, OverlapPromised, PreconditionFailed
from service.usecases.conflicts import LOST, Lost, retry_on_conflict
from service.usecases.trail.recording import note_change

DEFAULT_OVERLAP: Final = timedelta(hours=24)
C = TypeVar("C", bound=Credential)
New = TypeVar("New")
Read = Callable[[], Awaitable[C]]
"""Reads a credential as it is now. Raises NotFound."""


class CredentialChanges(Generic[C]):
    def __init__(self, noun: str, update: Callable[[C], Awaitable[C | None]], *, clock: Clock) -> None:
        """``update`` replaces a credential that still has its version; None: it has changed."""
        self._noun = noun
        self._update = update
        self._clock = clock

    async def rotate(self, read: Read[C], succeed: Callable[[C], Awaitable[New]], overlap: timedelta) -> New:
        """Create a successor with ``succeed``. The old credential works for ``overlap`` or to its expiry.

        Raises:
            NotFound: there is no such credential.
            Conflict: it is revoked or has expired.
            OverlapPromised: it was rotated before, with an overlap that ends later.

        """
        old, now = await read(), self._clock()
        ends = now + overlap
        if not old.is_valid(now):
            raise Conflict(f"The {self._noun} is revoked or has expired; create a new one.")
        if old.rotated and old.expires_at is not None and ends < old.expires_at:
            raise OverlapPromised(
                f"The {self._noun} was rotated before, and its overlap ends later. To end the {self._noun}, revoke it."
            )
        new = await succeed(old)
        await self._change(read, lambda current: current.retired(ends))
        return new

    async def revoke(self, read: Read[C]) -> C:
        """Revoke a credential. A second call does not change the time."""
        now = self._clock()
        return await self._change(read, lambda current: replace(current, revoked_at=current.revoked_at or now))

    async def _change(self, read: Read[C], change: Callable[[C], C]) -> C:
        async def attempt() -> C | Lost:
            current = await read()
            changed = await self._update(change(current))
            if changed is not None:
                note_change(current, changed, target=current.id)
            return changed or LOST

        after = await retry_on_conflict(attempt)
        if after is LOST:
            raise PreconditionFailed(f"The {self._noun} is being changed by other requests; try again.")
        return after


def used_at(moment: datetime) -> str:
    """Return the minute of a use, as it is stored."""
    return rfc3339(moment.replace(second=0, microsecond=0))
