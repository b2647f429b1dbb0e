"""Sessions of the console: begun at a login, read at each request, ended by a logout, by time or by a revocation."""

import secrets
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Final

from service.clock import Clock
from service.domain.console_session import ConsoleSession, Subject
from service.errors import Unauthenticated
from service.observability import log
from service.store.console.sessions import ConsoleSessionStore
from service.usecases.console.identity import Identities, Identity
from service.usecases.trail.trail import Trail

#: Bytes of a session's id.
_ID_BYTES: Final = 32
#: Characters of the text of ``_ID_BYTES``.
_ID_LENGTH: Final = 43


@dataclass(frozen=True, slots=True)
class Resumed:
    """The session of a request: who makes it, and the message of the last action."""

    identity: Identity
    message: str | None


class ConsoleSessions:
    def __init__(self, store: ConsoleSessionStore, identities: Identities, trail: Trail, *, clock: Clock) -> None:
        self._store = store
        self._identities = identities
        self._trail = trail
        self._clock = clock

    async def begin(
        self, subject: Subject, *, replaces: str = "", address: str | None = None, request_id: str | None = None
    ) -> str:
        """Begin a session and return its id, always a new one. The session that the browser had ends.

        The login of an operator is recorded in the audit trail. Raises Unauthenticated.
        """
        identity = await self._identities.of_subject(subject)
        if replaces:
            await self.end(replaces)
        session_id, now = secrets.token_urlsafe(_ID_BYTES), self._clock()
        actor = replace(identity.actor, address=address, request_id=request_id)
        async with nullcontext() if identity.tenant else self._trail.act(actor, "log_in"):
            await self._store.begin(session_id, ConsoleSession(subject, now), now)
        return session_id

    async def resume(self, session_id: str, *, is_person: bool = True) -> Resumed | None:
        """Return the session with its present rights; None: there is none, or it has ended.

        ``is_person``: not a page that refreshes by itself, which must not prolong the session.
        """
        if len(session_id) != _ID_LENGTH:
            return None
        session, message = await self._store.resume(session_id, is_person=is_person)
        if session is None:
            return None
        with suppress(Unauthenticated):  # its key or token is no longer valid
            if not session.has_ended(self._clock()):
                return Resumed(await self._identities.of_subject(session.subject), message)
        await self._store.end(session_id, session)
        return None

    async def end(self, session_id: str) -> None:
        """End a session, if there is one with this id."""
        if len(session_id) != _ID_LENGTH:
            return
        session, _ = await self._store.resume(session_id, is_person=False)
        await self._store.end(session_id, session)
        if session is not None:
            log.get(__name__).info("console_logout", kind=session.subject.kind, subject=_shown(session.subject))

    async def leave_message(self, session_id: str, message: str) -> None:
        """Store the message that the next page shows."""
        await self._store.leave_message(session_id, message)


def _shown(subject: Subject) -> str:
    return subject.id[:16]
