"""Open calls: waits, ``run`` calls and event streams. Each ends when its API key, or its token, is no longer valid.

A request is authenticated at its start. A call that stays open would continue after its key is revoked or expires, or
its tenant is suspended or deleted: one task for each process checks the keys of all open calls.
"""

import asyncio
from types import TracebackType
from typing import Final, Self

from service.domain.tenant import Scope, Tenant
from service.errors import Forbidden, GatewayError, Unauthenticated
from service.usecases.tenants.authentication import Authenticator
from service.usecases.tenants.caller import CredentialRef

#: Time between two checks, and the age at which a check reads the key again: together well below a second.
_CHECK_SECONDS: Final = 0.3
_OLDEST_LOOKUP_SECONDS: Final = 0.25


class OpenCall:
    """A context that ends early when the key is refused: its exit raises Unauthenticated or Forbidden.

    Within it, the waiting code is cancelled, as by ``asyncio.timeout``.
    """

    __slots__ = ("_calls", "_limit", "_refusal", "credential", "scope", "tenant")

    def __init__(self, calls: "OpenCalls", credential: CredentialRef, scope: Scope, tenant: Tenant) -> None:
        self.credential = credential
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
        self._calls: dict[tuple[CredentialRef, Scope], set[OpenCall]] = {}
        self._checking: asyncio.Task[None] | None = None

    def open(self, credential: CredentialRef, scope: Scope, tenant: Tenant) -> OpenCall:
        """Return the context of a call that was authenticated with this key, or a ticket of it, and this scope."""
        return OpenCall(self, credential, scope, tenant)

    @property
    def count(self) -> int:
        return sum(len(calls) for calls in self._calls.values())

    def add(self, call: OpenCall) -> None:
        self._calls.setdefault((call.credential, call.scope), set()).add(call)
        if self._checking is None:
            self._checking = asyncio.create_task(self._check_until_closed(), name="open-calls")

    def discard(self, call: OpenCall) -> None:
        calls = self._calls[call.credential, call.scope]
        calls.discard(call)
        if not calls:
            del self._calls[call.credential, call.scope]

    async def _check_until_closed(self) -> None:
        """Check the keys while calls are open. The task ends with the last call."""
        try:
            while self._calls:
                await asyncio.sleep(_CHECK_SECONDS)
                await asyncio.gather(*(self._check(credential, scope) for credential, scope in list(self._calls)))
        finally:
            self._checking = None

    async def _check(self, credential: CredentialRef, scope: Scope) -> None:
        try:
            caller = await self._authenticator.recheck(credential, scope, oldest=_OLDEST_LOOKUP_SECONDS)
        except (Unauthenticated, Forbidden) as refusal:
            for call in self._calls.get((credential, scope), ()):
                call.refuse(refusal)
            return
        except GatewayError:
            return  # Redis is unavailable: the next check reads the key
        for call in self._calls.get((credential, scope), ()):
            call.tenant = caller.tenant
