"""Access tickets: short-lived permissions for one purpose, for clients that must not or cannot send an API key.

A ticket is sealed, not stored: it names its key and its end, and nothing grows with the number of tickets. It permits
nothing that its key does not permit at the moment of use.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from pydantic import TypeAdapter

from service.clock import Clock
from service.errors import Unauthenticated
from service.store.tenants.sealing import Sealer
from service.usecases.tenants.caller import CredentialRef

#: Log redaction finds tickets by this prefix.
PREFIX: Final = "sgt_"
_LONGEST: Final = 1024  # characters
#: base64url decoders ignore what follows the padding.
_FORM: Final = re.compile(rf"{PREFIX}[\w-]+={{0,2}}", re.ASCII)
_INVALID: Final = "The ticket is not valid: it is unknown, expired, or for something else."


class TicketUse(StrEnum):
    UPLOAD = "upload"
    STREAM = "stream"


LIFETIMES: Final = {TicketUse.UPLOAD: timedelta(minutes=15), TicketUse.STREAM: timedelta(seconds=60)}


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessTicket:
    use: TicketUse
    key_id: str
    """The API key that requested it, or the id of the caller with a token."""
    key_expires_at: datetime | None = None
    """End of that token."""
    subject: str
    """The generation whose events it opens; "" for uploads."""
    expires_at: datetime

    @property
    def credential(self) -> CredentialRef:
        return CredentialRef(self.key_id, self.key_expires_at)


_TICKET: Final = TypeAdapter(AccessTicket)


class AccessTickets:
    def __init__(self, sealer: Sealer, *, clock: Clock) -> None:
        self._sealer = sealer
        self._clock = clock

    def issue(self, use: TicketUse, credential: CredentialRef, subject: str = "") -> tuple[str, datetime]:
        """Return a ticket's text and its end."""
        expires_at = self._clock() + LIFETIMES[use]
        ticket = AccessTicket(
            use=use,
            key_id=credential.key_id,
            key_expires_at=credential.expires_at,
            subject=subject,
            expires_at=expires_at,
        )
        return PREFIX + self._sealer.seal(_TICKET.dump_json(ticket).decode()), expires_at

    def open(self, use: TicketUse, text: str, subject: str = "") -> AccessTicket:
        """Return a ticket of this use for this subject. Its key is not checked here.

        Raises:
            Unauthenticated: it is forged, expired, or for something else; the error does not say which.

        """
        known = len(text) <= _LONGEST and _FORM.fullmatch(text) is not None
        content = self._sealer.open_untrusted(text.removeprefix(PREFIX)) if known else None
        if content is None:
            raise Unauthenticated(_INVALID)
        ticket = _TICKET.validate_json(content)
        if (ticket.use, ticket.subject) != (use, subject) or self._clock() >= ticket.expires_at:
            raise Unauthenticated(_INVALID)
        return ticket
