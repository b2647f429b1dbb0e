"""Dependencies of endpoints: the runtime, the caller, the body.

The hot routes (create, read, list, fal status) call the functions; all others name the types in their signatures.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final
from urllib.parse import unquote

from fastapi import Depends, Path, Request, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from pydantic import BaseModel, TypeAdapter

from service.api.http.audited import begin_act
from service.api.http.bodies import json_body, optional_json_body
from service.api.http.client_address import client_address
from service.api.http.middleware import RAW_PATH
from service.api.http.queries import check_query
from service.api.http.request_headers import header
from service.domain.actor import Actor, ActorKind
from service.domain.json_body import parse
from service.domain.operator import Role
from service.domain.tenant import Scope, Tenant
from service.errors import Malformed, RateLimited, Unauthenticated
from service.observability import log
from service.runtime import Runtime
from service.store.tenants.rates import RateLimitResult
from service.usecases.tenants.authentication import Caller, check_rights
from service.usecases.trail.recording import note_reason

LONGEST_WAIT: Final = 60
#: Description of both parameters, so that a reader of one learns of the other.
WAIT: Final = """\
There are two ways to wait, 60 seconds at most. `Prefer: wait=N` on the create holds the response until the generation \
has **ended**; a larger N means 60, and `Preference-Applied` names the seconds that were applied. `?wait=N` on the \
read holds the response until the **status changes**, also from `queued` to `submitting`; a larger N is a 422. When \
the time is over, both return the generation as it is. Default: no waiting.
"""
#: Python raises on integers of more than 4,300 digits.
_MOST_DIGITS: Final = 9


def runtime(request: Request) -> Runtime:
    found: Runtime = request.scope["app"].state.runtime
    return found


async def tenant(request: Request, scope: Scope) -> Tenant:
    """Authenticate ``Authorization: Bearer <key or token>``, count the request, and check its query."""
    caller = await authenticate_and_rate_limit(request, bearer(request), scope)
    check_query(request)
    return caller


async def authenticate_and_rate_limit(request: Request, key: str, scope: Scope) -> Tenant:
    """Authenticate the key, count the request, and put tenant and rate into scope and log context.

    Raises Unauthenticated, Forbidden, RateLimited.
    """
    caller = await runtime(request).tenants.authenticator.authenticate(key, scope)
    note_caller(request, caller)
    try:
        await count_call(request, caller.tenant)
    except RateLimited as error:
        if scope is Scope.GENERATE and request.method == "POST":
            runtime(request).generations.refusals.add(caller.tenant.id, error)
        raise
    return caller.tenant


async def authenticate_poll(request: Request, key: str, generation_id: str) -> Tenant:
    """Authenticate a read of a client that polls. It counts against the limit of reads, not against the rate limit.

    Raises Unauthenticated, Forbidden, RateLimited.
    """
    access = runtime(request).tenants.authenticator
    caller = await access.authenticate(key, Scope.READ)
    note_caller(request, caller)
    admit(request, access.count_read(caller.tenant, generation_id))
    return caller.tenant


def note_caller(request: Request, caller: Caller) -> None:
    """Put the caller into the scope, and tenant and key, or the subject of a token, into the log context."""
    request.scope["tenant"] = caller.tenant.id
    request.scope["caller"] = caller
    log.bind(tenant=caller.tenant.id, key_id=caller.key.id)
    if caller.identity is not None:
        log.bind(subject=caller.identity.subject)


def caller_of(request: Request) -> Caller:
    """Return the caller of a request that was authenticated before."""
    found: Caller = request.scope["caller"]
    return found


async def count_call(request: Request, tenant: Tenant) -> None:
    """Count the request against the tenant's rate limit, if it has one. Raises RateLimited."""
    if tenant.limits.requests_per_minute is not None:
        admit(request, await runtime(request).tenants.authenticator.count(tenant))


def admit(request: Request, rate: RateLimitResult | None) -> None:
    """Put the result of a limiter into the headers of the response. Raises RateLimited."""
    request.scope["rate"] = rate
    if rate is not None and not rate.allowed:
        raise RateLimited(
            f"More than {rate.per_minute} {rate.bucket} a minute.", retry_after=rate.retry_after.total_seconds()
        )


@asynccontextmanager
async def waiting_call(request: Request, caller: Tenant, scope: Scope) -> AsyncIterator[None]:
    """Hold a slot for a wait, and end the wait when the key of the request is refused.

    Raises TooManyWaiting, Unauthenticated, Forbidden.
    """
    gateway = runtime(request)
    with gateway.generations.long_polls.slot(caller):
        async with gateway.tenants.open_calls.open(caller_of(request).credential, scope, caller):
            yield


def bearer(request: Request) -> str:
    scheme, _, key = header(request.scope, b"authorization").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Unauthenticated("Send your key as 'Authorization: Bearer <key>'.")
    return key.strip()


def preferred_wait(request: Request) -> int:
    """Return the seconds of ``Prefer: wait=N`` (RFC 7240), at most 60; 0 without the header."""
    for preference in header(request.scope, b"prefer").split(","):
        name, _, value = preference.strip().partition("=")
        if name.strip().lower() == "wait":
            if not value.strip().isdecimal():
                raise Malformed("'Prefer: wait=N' takes whole seconds.")
            return LONGEST_WAIT if len(value) > _MOST_DIGITS else min(int(value), LONGEST_WAIT)
    return 0


async def _gateway(request: Request) -> Runtime:
    return runtime(request)  # a coroutine function: FastAPI would run a plain one in a thread


async def _end_user_id(request: Request, end_user_id: Annotated[str, Path()]) -> str:
    """Return the id, which may have any character. See ``middleware.RAW_PATH``."""
    return unquote(end_user_id) if RAW_PATH in request.scope else end_user_id


class ApiKey(SecurityBase):
    """A tenant's key or token. It needs the scopes that ``Security`` names, and counts against the rate limit."""

    scheme_name = "apiKey"
    model = HTTPBearer()

    async def __call__(self, request: Request, needed: SecurityScopes) -> Tenant:
        scope = Scope(needed.scopes[0])
        return await (_manager(request) if scope is Scope.MANAGE else tenant(request, scope))


async def _manager(request: Request) -> Tenant:
    """Authenticate as ``tenant``, and begin the act of the call before its right to it is checked."""
    caller = await runtime(request).tenants.authenticator.identify(bearer(request))
    note_caller(request, caller)
    await count_call(request, caller.tenant)
    await begin_act(request, _actor(request))
    check_rights(caller, Scope.MANAGE)
    check_query(request)
    return caller.tenant


class AnyKey(SecurityBase):
    """A tenant's key with any scope, also of a suspended tenant. It counts against the rate limit."""

    scheme_name = ApiKey.scheme_name
    model = HTTPBearer()

    async def __call__(self, request: Request) -> Caller:
        caller = await runtime(request).tenants.authenticator.identify(bearer(request))
        note_caller(request, caller)
        await count_call(request, caller.tenant)
        check_query(request)
        return caller


class OperatorToken(SecurityBase):
    """An operator's token, or the admin token. It needs the role that ``Security`` names."""

    scheme_name = "adminToken"
    model = HTTPBearer()

    async def __call__(self, request: Request, needed: SecurityScopes) -> Actor:
        actor = await runtime(request).operators.authenticator.authenticate(
            bearer(request), address=client_address(request.scope), request_id=request.scope["request_id"]
        )
        log.bind(actor=actor.name, actor_kind=actor.kind.value)
        await begin_act(request, actor)
        actor.require(Role(needed.scopes[0]))
        check_query(request)
        return actor


def _actor(request: Request) -> Actor:
    """Return the API key, or the service with a token, that authenticated the request as an actor."""
    caller = caller_of(request)
    return Actor(
        kind=ActorKind.API_KEY if caller.identity is None else ActorKind.SERVICE,
        id=caller.key.id,
        name=caller.key.name,
        tenant_id=caller.tenant.id,
        address=client_address(request.scope),
        request_id=request.scope["request_id"],
    )


class JsonBody:
    """A JSON body, validated from its bytes: FastAPI's own would be read before the caller is authenticated."""

    def __init__(self, model: type[BaseModel]) -> None:
        self.model = model
        self._adapter: TypeAdapter[Any] = TypeAdapter(model)

    async def __call__(self, request: Request) -> Any:
        return _with_reason(parse(self._adapter, await json_body(request)))


class OptionalJsonBody(JsonBody):
    """A JSON body that may be missing: every field then has its default."""

    async def __call__(self, request: Request) -> Any:
        body = await optional_json_body(request)
        return _with_reason(parse(self._adapter, body) if body else self.model())


def _with_reason(body: Any) -> Any:
    """Record the reason in the body, if it has one, in the act of this call."""
    note_reason(getattr(body, "reason", None))
    return body


def json_of(model: type[BaseModel]) -> Any:
    """Return what ``Annotated`` needs to make a parameter the body."""
    return Depends(JsonBody(model))


def optional_json_of(model: type[BaseModel]) -> Any:
    """Return what ``Annotated`` needs to make a parameter the body, which may be missing."""
    return Depends(OptionalJsonBody(model))


API_KEY: Final = ApiKey()
ANY_KEY: Final = AnyKey()
EndUserId = Annotated[str, Depends(_end_user_id)]
Gateway = Annotated[Runtime, Depends(_gateway)]
Reader = Annotated[Tenant, Security(API_KEY, scopes=[Scope.READ.value])]
Creator = Annotated[Tenant, Security(API_KEY, scopes=[Scope.GENERATE.value])]
Manager = Annotated[Tenant, Security(API_KEY, scopes=[Scope.MANAGE.value])]
AnyCaller = Annotated[Caller, Security(ANY_KEY)]
_OPERATOR: Final = OperatorToken()
#: Route dependencies: the role that a route needs. The types give the actor too.
VIEWER: Final = Security(_OPERATOR, scopes=[Role.VIEWER.value])
ON_CALL: Final = Security(_OPERATOR, scopes=[Role.OPERATOR.value])
ADMIN: Final = Security(_OPERATOR, scopes=[Role.ADMIN.value])
Viewer = Annotated[Actor, VIEWER]
OnCall = Annotated[Actor, ON_CALL]
Admin = Annotated[Actor, ADMIN]
