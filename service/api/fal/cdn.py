"""Uploads of fal's Python client: a token of fal's CDN, then the bytes with this token instead of the key.

The token is an access ticket. The client caches it, so that it permits several uploads; each counts as a call.
"""

from typing import Final

from fastapi import APIRouter, Request, Response

from service.api.fal import addresses, authentication
from service.api.fal.openapi import BYTES, CDN_FILE, CDN_TOKEN, answers
from service.api.fal.responses import answer
from service.api.fal.route import FalRoute
from service.api.http.dependencies import caller_of, count_call, note_caller, runtime
from service.api.v1 import uploads
from service.domain.tenant import Scope
from service.errors import TooLarge
from service.usecases.tenants.access_tickets import PREFIX, TicketUse

PATH: Final = f"{addresses.REST}/files/upload"

router = APIRouter(tags=["fal"], route_class=FalRoute)


@router.post(
    f"{addresses.REST}/storage/auth/token",
    summary="Create a token for uploads of the Python client",
    description="The token is valid for 15 minutes, for uploads only, while the key that requested it is valid.",
    responses={**CDN_TOKEN, **answers(401, 403, 404, 429, 503)},
)
async def create_fal_upload_token(request: Request) -> Response:
    await authentication.tenant(request, Scope.GENERATE)
    base_url = addresses.public_url(request) + addresses.REST
    credential = caller_of(request).credential
    ticket, expires_at = runtime(request).tenants.access_tickets.issue(TicketUse.UPLOAD, credential)
    body = {
        "token": ticket,
        "token_type": "Bearer",
        "base_url": base_url,
        "expires_at": expires_at.isoformat(),  # with an offset: Python 3.10 does not parse "Z"
    }
    return answer(body, request.scope["request_id"])


@router.post(
    PATH,
    summary="Upload a file with a token",
    description="The raw bytes, with `Authorization: Bearer <token>` or a key. The bytes decide the format.",
    responses={**CDN_FILE, **answers(400, 401, 403, 408, 413, 422, 429, 503)},
    openapi_extra=BYTES,
)
async def upload_fal_file(request: Request) -> Response:
    await _authenticate(request)
    taken = await uploads.stored(request)
    return answer({"access_url": taken.url}, request.scope["request_id"])


@router.post(
    f"{PATH}/multipart",
    summary="Begin a multipart upload with a token (not supported)",
    description="Always 413: the Python client begins one above 100 MB. Send such a file to `POST /v1/uploads`.",
    status_code=413,
    responses=answers(401, 403, 413, 429, 503),
)
async def refuse_fal_file_multipart(request: Request) -> Response:
    await _authenticate(request)
    raise TooLarge("Uploads in parts are not supported: send larger files to `POST /v1/uploads`, in one request.")


async def _authenticate(request: Request) -> None:
    """Authenticate a ticket or a key, and count the call. Both are read now: no script of the store checks an upload.

    Raises Unauthenticated, Forbidden, RateLimited.
    """
    tenants, text = runtime(request).tenants, authentication.key(request)
    if text.startswith(PREFIX):
        credential = tenants.access_tickets.open(TicketUse.UPLOAD, text).credential
    else:
        credential = (await tenants.authenticator.authenticate(text, Scope.GENERATE)).credential
    caller = await tenants.authenticator.confirm(credential, Scope.GENERATE)
    note_caller(request, caller)
    await count_call(request, caller.tenant)
