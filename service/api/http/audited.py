"""Routes whose calls are recorded in the audit trail.

The name of an act is that of its endpoint, which is also the operation id in the OpenAPI document. The act begins when
the caller is authenticated, before the body is read: see ``begin_act``.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from service.domain.actor import Actor
from service.errors import Invalid
from service.runtime import Runtime
from service.usecases.trail.recording import Act

#: Scope key: name of the act that a call is.
_ACTION: Final = "gateway.action"
#: Scope key: the act, once it has begun.
_ACT: Final = "gateway.act"
_READS: Final = frozenset({"GET", "HEAD"})
#: Parameters that are no target: the tenant has a field of its own, and an end user is recorded under a pseudonym.
_NO_TARGET: Final = ("tenant_id", "end_user_id")
_PERSONAL: Final = "reads_personal_data"
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def reads_personal_data(endpoint: Endpoint) -> Endpoint:
    """Mark a GET whose calls are recorded, because it returns the data of a person."""
    setattr(endpoint, _PERSONAL, True)
    return endpoint


class AuditedRoute(APIRoute):
    """A route whose writes, and marked reads, are recorded where the caller is an operator or manages a tenant."""

    @property
    def is_audited(self) -> bool:
        return not (self.methods or set()) <= _READS or hasattr(self.endpoint, _PERSONAL)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()
        if not self.is_audited:
            return handler
        action = self.endpoint.__name__

        async def recorded(request: Request) -> Response:
            request.scope[_ACTION] = action
            try:
                response = await handler(request)
            except RequestValidationError:
                await _end(request, Invalid())
                raise
            except (Exception, asyncio.CancelledError) as error:
                await _end(request, error)
                raise
            await _end(request)
            return response

        return recorded


async def begin_act(request: Request, actor: Actor) -> None:
    """Begin the act of this call, if its route is audited. Raises StoreUnavailable, TooManyActs."""
    action = request.scope.get(_ACTION)
    if action is None:
        return
    target, tenant_id = target_of(request)
    request.scope[_ACT] = await _runtime(request).trail.begin(actor, action, target=target, tenant_id=tenant_id)


def target_of(request: Request) -> tuple[str | None, str | None]:
    """Return what the path names: the target of an act, and the tenant that the act is about."""
    given = request.path_params
    tenant_id = given.get("tenant_id")
    targets = [value for name, value in given.items() if name not in _NO_TARGET]
    return targets[-1] if targets else tenant_id, tenant_id


async def _end(request: Request, error: BaseException | None = None) -> None:
    act: Act | None = request.scope.pop(_ACT, None)
    if act is not None:
        await _runtime(request).trail.end(act, error)


def _runtime(request: Request) -> Runtime:
    found: Runtime = request.app.state.runtime
    return found
