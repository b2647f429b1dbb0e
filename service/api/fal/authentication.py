"""Who is calling: ``Authorization: Key <key>``, a tenant's own."""

from fastapi import Request

from service.api.http.dependencies import admitted, runtime
from service.domain.tenant import Scope, Tenant
from service.errors import Unauthenticated


async def tenant(request: Request, scope: Scope) -> Tenant:
    """Counted against the tenant's calls a minute: whatever creates or changes something."""
    return await admitted(request, key(request), scope)


async def reader(request: Request, scope: Scope = Scope.READ) -> Tenant:
    """Not counted: the official clients look ten times a second, and would use up what is meant for creating."""
    caller = await runtime(request).tenants.authenticator.authenticate(key(request), scope)
    request.scope["tenant"] = caller.tenant.id
    return caller.tenant


def key_id(request: Request) -> str:
    """Of an authenticated call: tells apart callers that share a tenant. Never the secret."""
    return key(request).split("_")[1]


def key(request: Request) -> str:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() not in ("key", "bearer") or not key.strip():
        raise Unauthenticated("Send your key as 'Authorization: Key <key>'.")
    return key.strip()
