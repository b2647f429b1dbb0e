"""``/v1/generations/{id}/stream-tickets``: a permission to follow one generation, for a page in a browser.

An ``EventSource`` cannot send a key, and a page must not have one.
"""

from typing import Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request

from service.api.http.dependencies import Gateway, Reader, caller_of, count_call, note_caller, runtime
from service.api.http.path_prefix import PREFIX
from service.api.http.queries import check_query
from service.api.schemas import StreamTicketView, problems
from service.domain.generation_view import rfc3339
from service.domain.tenant import Scope, Tenant
from service.errors import FieldError, Invalid
from service.usecases.tenants.access_tickets import TicketUse
from service.usecases.tenants.caller import CredentialRef

router = APIRouter(prefix="/v1/generations", tags=["generations"])

#: Name of the query parameter of the event stream.
TICKET: Final = "ticket"


@router.post(
    "/{generation_id}/stream-tickets",
    summary="Create a ticket to follow a generation in a browser",
    description="Give `url` to the page: `new EventSource(url)`. Within 60 seconds it opens the events of this "
    "generation, and nothing else, while the key that requested it is valid; an open stream continues. Pages of other "
    "origins need `GATEWAY_CORS_ORIGINS`.",
    status_code=201,
    responses={201: {"description": "The ticket."}, **problems(404)},
)
async def create_stream_ticket(
    request: Request, gateway: Gateway, caller: Reader, generation_id: str
) -> StreamTicketView:
    credential = caller_of(request).credential
    await gateway.tenants.authenticator.confirm(credential, Scope.READ)
    g = await gateway.generations.reader.get(caller, generation_id)
    ticket, expires_at = gateway.tenants.access_tickets.issue(TicketUse.STREAM, credential, g.id)
    base = gateway.settings.public_url or request.scope.get(PREFIX, "")
    return {
        "object": "stream_ticket",
        "url": f"{base}/v1/generations/{g.id}/events?{urlencode({TICKET: ticket})}",
        "ticket": ticket,
        "expires_at": rfc3339(expires_at),
    }


def ticket_of(request: Request) -> str | None:
    """Return the ticket in the query; None: there is none. Raises Invalid if there are several."""
    if not request.scope["query_string"]:
        return None
    found = request.query_params.getlist(TICKET)
    if len(found) > 1:
        raise Invalid(FieldError(f"/query/{TICKET}", "must be given once", "repeated"))
    return found[0] if found else None


async def ticket_holder(request: Request, ticket: str) -> tuple[Tenant, CredentialRef]:
    """Return the tenant and the credential of a stream ticket, and count the call.

    Raises Unauthenticated, Forbidden, RateLimited, Invalid.
    """
    tenants = runtime(request).tenants
    opened = tenants.access_tickets.open(TicketUse.STREAM, ticket, request.path_params["generation_id"])
    caller = await tenants.authenticator.confirm(opened.credential, Scope.READ)
    note_caller(request, caller)
    await count_call(request, caller.tenant)
    check_query(request, also=TICKET)
    return caller.tenant, opened.credential
