"""Tickets of uploads: each permits one upload, for some minutes, without a key."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pydantic import TypeAdapter

from service.store import keys
from service.store.redis.client import Redis
from service.store.tenants.sealing import Sealer
from service.store.times import milliseconds

#: Validity of a ticket.
LIFETIME: Final = timedelta(minutes=15)
_ID_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadTicket:
    """What a ticket permits: an image of one type to one URL of fal, for the API key that requested it."""

    tenant_id: str
    key_id: str
    """The API key, or the id of a caller with a token."""
    key_expires_at: datetime | None = None
    """End of that token."""
    content_type: str
    upload_url: str
    file_url: str


_TICKET: Final = TypeAdapter(UploadTicket)


class UploadTicketStore:
    """Tickets by the hash of their random id. They are encrypted: an upload URL of fal is a permission by itself."""

    def __init__(self, redis: Redis, sealer: Sealer) -> None:
        self._redis = redis
        self._sealer = sealer

    async def issue(self, ticket: UploadTicket) -> str:
        """Store a ticket and return its id.

        Raises:
            StoreFull: Redis accepts nothing new.

        """
        await self._redis.memory.demand_room(ticket.tenant_id)
        ticket_id = secrets.token_urlsafe(_ID_BYTES)
        sealed = self._sealer.seal(_TICKET.dump_json(ticket).decode())
        await self._redis.execute("SET", keys.upload_ticket(ticket_id), sealed, "PX", milliseconds(LIFETIME))
        return ticket_id

    async def take(self, ticket_id: str) -> UploadTicket | None:
        """Return a ticket and delete it; None: it is unknown, used or expired."""
        sealed = await self._redis.execute("GETDEL", keys.upload_ticket(ticket_id))
        return None if sealed is None else _TICKET.validate_json(self._sealer.open(sealed.decode()))
