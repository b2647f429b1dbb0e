"""Login links, each used once, and the limits of login attempts."""

from datetime import datetime, timedelta
from typing import Final

from pydantic import TypeAdapter

from service.domain.console_session import LINK_LIFETIME, Subject
from service.store import keys
from service.store.console.expiring import set_expiring
from service.store.redis.client import Redis
from service.store.tenants import rates

_SUBJECT: Final = TypeAdapter(Subject)
#: Attempts a minute, and attempts that may come together.
_OF_ADDRESS: Final = (10, 10)
_OF_ALL: Final = (600, 200)
_MINUTE: Final = 60_000_000  # microseconds


class ConsoleLoginStore:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def issue(self, ticket: str, subject: Subject) -> None:
        """Store the random ticket of a login link by its hash."""
        name = keys.console_login(keys.console_digest(ticket))
        await set_expiring(self._redis, name, _SUBJECT.dump_json(subject), LINK_LIFETIME)

    async def take(self, ticket: str) -> Subject | None:
        """Return who may log in with a ticket, and delete the ticket; None: it is unknown, used or expired."""
        found = await self._redis.execute("GETDEL", keys.console_login(keys.console_digest(ticket)))
        return None if found is None else _SUBJECT.validate_json(found)

    async def count(self, address: str, now: datetime) -> timedelta | None:
        """Count an attempt of an address, and of all. Return when the next one is allowed; None: this one is.

        An address beyond its own limit does not count for all. While the attempts of all are used up, none is counted
        of an address: so at most ``_OF_ALL`` addresses have a key, however many an attacker has.
        """
        wait = await self._wait_of_all(now)
        if wait is not None:
            return wait
        for name, (per_minute, burst) in ((address, _OF_ADDRESS), ("", _OF_ALL)):
            allowed, _, microseconds, _ = await rates.count(
                self._redis, keys.console_attempts(name), now, interval_us=_MINUTE // per_minute, burst=burst
            )
            if not allowed:
                return timedelta(microseconds=microseconds)
        return None

    async def _wait_of_all(self, now: datetime) -> timedelta | None:
        """Return when an attempt of any address is allowed again; None: one is."""
        per_minute, burst = _OF_ALL
        due = await self._redis.execute("GET", keys.console_attempts(""))
        wait = timedelta(microseconds=int(due or 0) - (burst - 1) * _MINUTE // per_minute - int(now.timestamp() * 1e6))
        return wait if wait > timedelta() else None
