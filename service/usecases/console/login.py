"""Login to the console: by a key or token, or by a link that is used once. Attempts are limited."""

import ipaddress
import secrets
from typing import Final, Literal

from service.clock import Clock
from service.domain.console_session import Subject
from service.errors import RateLimited, Unauthenticated
from service.observability import log, metrics
from service.store.console.logins import ConsoleLoginStore
from service.usecases.console.identity import Identities

_TICKET_BYTES: Final = 32
#: No key or token is longer. A JWT may be.
_LONGEST_TEXT: Final = 8_192
#: Clients choose addresses within such a network freely.
_IPV6_PREFIX: Final = 64
#: One text for all failures: which of them it is helps an attacker only.
REFUSED: Final = "The login failed. The key, token or link is unknown, expired, revoked or used."


class ConsoleLogin:
    def __init__(self, store: ConsoleLoginStore, identities: Identities, *, clock: Clock) -> None:
        self._store = store
        self._identities = identities
        self._clock = clock

    async def by_text(self, text: str, *, address: str | None) -> Subject:
        """Return whom a key or token identifies. Raises Unauthenticated, RateLimited."""
        await self._count(address)
        if not 0 < len(text) <= _LONGEST_TEXT:
            raise self._refused("secret", address)
        try:
            subject = await self._identities.of_text(text)
        except Unauthenticated:
            raise self._refused("secret", address) from None
        return self._accepted(subject, address)

    async def by_ticket(self, ticket: str, *, address: str | None) -> Subject:
        """Return whom a login link identifies, and use the link up. Raises Unauthenticated, RateLimited."""
        await self._count(address)
        subject = await self._store.take(ticket) if 0 < len(ticket) <= _LONGEST_TEXT else None
        if subject is None:
            raise self._refused("link", address)
        return self._accepted(subject, address)

    async def count_attempt(self, address: str | None) -> None:
        """Count an attempt to log in. Raises RateLimited."""
        await self._count(address)

    async def subject_of(self, text: str) -> Subject:
        """Return whom a key or token identifies, without a limit: for the command line. Raises Unauthenticated."""
        return await self._identities.of_text(text)

    async def issue_ticket(self, subject: Subject) -> str:
        """Return the ticket of a new login link."""
        ticket = secrets.token_urlsafe(_TICKET_BYTES)
        await self._store.issue(ticket, subject)
        return ticket

    async def _count(self, address: str | None) -> None:
        wait = await self._store.count(_network(address), self._clock())
        if wait is not None:
            metrics.CONSOLE_LOGINS_REFUSED.labels("limit").inc()
            raise RateLimited("Too many login attempts.", retry_after=wait.total_seconds())

    def _refused(self, way: Literal["secret", "link"], address: str | None) -> Unauthenticated:
        metrics.CONSOLE_LOGINS_REFUSED.labels(way).inc()
        log.get(__name__).warning("console_login_refused", way=way, client=address)
        return Unauthenticated(REFUSED)

    def _accepted(self, subject: Subject, address: str | None) -> Subject:
        log.get(__name__).warning("console_login", kind=subject.kind, subject=subject.id[:16], client=address)
        return subject


def _network(address: str | None) -> str:
    """Return what the attempts of a client count for: its address, or its network of IPv6."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((int(parsed), _IPV6_PREFIX), strict=False).network_address)
