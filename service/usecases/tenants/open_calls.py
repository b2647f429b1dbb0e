"""Open calls: waits, ``run`` calls and event streams. Each ends when its API key is no longer valid.

A request is authenticated at its start. A call that stays open would continue after its key is revoked or expires, or
its tenant is suspended or deleted: one task for each process checks the keys of all open calls.
"""

import asyncio
from types import TracebackType
from typing import Final, Self

from service.domain.tenant import Scope, Tenant
from service.errors import Forbidden, GatewayError, Unauthenticated
from service.usecases.tenants.authentication import Authenticator

#: Time between two checks, and the age at which a check reads the key again: together well below a second.
_CHECK_SECONDS: Final = 0.3
_OLDEST_LOOKUP_SECONDS: Final = 0.25


class OpenCall:
    """A context that ends early when the key is refused: its exit raises Unauthenticated or Forbidden.

    Within it, the waiting code is cancelled, as by ``asyncio.timeout``.
    """

    __slots__ = ("_calls", "_limit", "_refusal", "key_id", "scope", "tenant")

    def __init__(self, calls: "OpenCalls", key_id: str, scope: Scope, tenant: Tenant) -> None:
        self.key_id = key_id
        self.scope = scope
        self.tenant = tenant
        """The tenant as the last check read it."""
        self._calls = calls
        self._limit = asyncio.timeout(None)
        self._refusal: Unauthenticated | Forbidden | None = None

    async def __aenter__(self) -> Self:
        await self._limit.__aenter__()
        self._calls.add(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._calls.discard(self)
        try:
            await self._limit.__aexit__(kind, error, trace)
        except TimeoutError:
            if self._refusal is None:
                raise
            raise self._refusal from None

    def refuse(self, refusal: Unauthenticated | Forbidden) -> None:
        if self._refusal is None:
            self._refusal = refusal
            self._limit.reschedule(asyncio.get_running_loop().time())


class OpenCalls:
    """The open calls of a process, by key."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._calls: dict[tuple[str, Scope], set[OpenCall]] = {}
        self._checking: asyncio.Task[None] | None = None

    def open(self, key_id: str, scope: Scope, tenant: Tenant) -> OpenCall:
        """Return the context of a call that was authenticated with this key, or a ticket of it, and this scope."""
        return OpenCall(self, key_id, scope, tenant)

    @property
    def count(self) -> int:
        return sum(len(calls) for calls in self._calls.values())

    def add(self, call: OpenCall) -> None:
        self._calls.setdefault((call.key_id, call.scope), set()).add(call)
        if self._checking is None:
            self._checking = asyncio.create_task(self._check_until_closed(), name="open-calls")

    def discard(self, call: OpenCall) -> None:
        calls = self._calls[call.key_id, call.scope]
        calls.discard(call)
        if not calls:
            del self._calls[call.key_id, call.scope]

    async def _check_until_closed(self) -> None:
        """Check the keys while calls are open. The task ends with the last call."""
        try:
            while self._calls:
                await asyncio.sleep(_CHECK_SECONDS)
                await asyncio.gather(*(self._check(key_id, scope) for key_id, scope in list(self._calls)))
        finally:
            self._checking = None

    async def _check(self, key_id: str, scope: Scope) -> None:
        try:
            caller = await self._authenticator.recheck(key_id, scope, oldest=_OLDEST_LOOKUP_SECONDS)
        except (Unauthenticated, Forbidden) as refusal:
            for call in self._calls.get((key_id, scope), ()):
                call.refuse(refusal)
            return
        except GatewayError:
            return  # Redis is unavailable: the next check reads the key
        for call in self._calls.get((key_id, scope), ()):
            call.tenant = caller.tenant
