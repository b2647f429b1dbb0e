"""Authentication below ``/fal``: ``Authorization: Key <key>`` with an API key, also in fal's form, or a token."""

from fastapi import Request

from service.api.http.dependencies import authenticate_and_rate_limit, authenticate_poll
from service.api.http.request_headers import header
from service.domain import tenant as tenant_domain
from service.domain.tenant import Scope, Tenant
from service.errors import Unauthenticated


async def tenant(request: Request, scope: Scope) -> Tenant:
    """Authenticate a request that creates or changes something; it counts against the rate limit."""
    return await authenticate_and_rate_limit(request, key(request), scope)


async def reader(request: Request, request_id: str) -> Tenant:
    """Authenticate a read. It counts against the limit of reads, since official clients poll ten times a second."""
    return await authenticate_poll(request, key(request), request_id)


def key(request: Request) -> str:
    """Return the key in the gateway's form. Raises Unauthenticated."""
    scheme, _, key = header(request.scope, b"authorization").partition(" ")
    if scheme.lower() not in ("key", "bearer") or not key.strip():
        raise Unauthenticated("Send your key as 'Authorization: Key <key>'.")
    return tenant_domain.from_fal_form(key.strip())
