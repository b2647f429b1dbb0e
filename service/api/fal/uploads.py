"""Uploads of fal's JavaScript client: it requests an upload URL, and sends the bytes there without a key."""

from typing import Annotated, Final

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from service.api.fal import addresses, authentication
from service.api.fal.openapi import INITIATED, TICKET, UPLOADED, answers
from service.api.fal.responses import answer
from service.api.fal.route import FalRoute
from service.api.http.bodies import whole_body
from service.api.http.dependencies import caller_of, runtime
from service.api.schemas import body_of
from service.api.v1 import uploads
from service.domain.described import describe
from service.domain.json_body import parse
from service.domain.tenant import Scope
from service.errors import TooLarge, Unauthenticated
from service.store.tenants.upload_tickets import UploadTicket
from service.upstream.storage import UploadTarget
from service.usecases.tenants.caller import CredentialRef

PATH: Final = f"{addresses.PREFIX}/upload"

router = APIRouter(tags=["fal"], route_class=FalRoute)


class UploadRequest(BaseModel):
    """File name and type of the file that the client intends to upload."""

    model_config = ConfigDict(json_schema_extra=describe)

    content_type: Annotated[str, Field(max_length=256)] = "application/octet-stream"
    """Media type of the file; the bytes decide whether it is accepted. Default `application/octet-stream`."""
    file_name: Annotated[str, Field(max_length=1024)] = "file"
    """File name; its suffix is used if the media type is of no file that models accept. Default `file`."""


_UPLOAD_REQUEST: Final = TypeAdapter(UploadRequest)


@router.post(
    f"{addresses.REST}/storage/upload/initiate",
    summary="Begin an upload",
    description="Returns a URL for one `PUT` of the bytes, and the URL of the file afterwards.",
    responses={**INITIATED, **answers(400, 401, 403, 404, 408, 415, 422, 429, 503)},
    openapi_extra=body_of(UploadRequest),
)
async def initiate_fal_upload(request: Request) -> Response:
    tenant = await authentication.tenant(request, Scope.GENERATE)
    public_url = addresses.public_url(request)
    wanted = parse(_UPLOAD_REQUEST, await whole_body(request) or b"{}")
    gateway = runtime(request)
    content_type, file_name = gateway.generations.uploads.expected(wanted.content_type, wanted.file_name)
    place = await gateway.generations.fal_storage.create_target(content_type=content_type, file_name=file_name)
    credential = caller_of(request).credential
    ticket = await gateway.stores.upload_tickets.issue(
        UploadTicket(
            tenant_id=tenant.id,
            key_id=credential.key_id,
            key_expires_at=credential.expires_at,
            content_type=place.content_type,
            upload_url=place.upload_url,
            file_url=place.file_url,
        )
    )
    body = {"upload_url": f"{public_url}{PATH}?ticket={ticket}", "file_url": place.file_url}
    return answer(body, request.scope["request_id"])


@router.post(
    f"{addresses.REST}/storage/upload/initiate-multipart",
    summary="Begin a multipart upload (not supported)",
    description="Always 413. Use `POST /v1/uploads`, or the upload URL of `initiate`.",
    status_code=413,
    responses=answers(401, 403, 413, 429),
)
async def refuse_fal_multipart_upload(request: Request) -> Response:
    await authentication.tenant(request, Scope.GENERATE)
    raise TooLarge("Uploads in parts are not supported: send larger files to `POST /v1/uploads`, in one request.")


@router.put(
    PATH,
    summary="Upload the bytes of a file",
    description="The URL with its ticket comes from `initiate`. The rules for files are those of `POST /v1/uploads`.",
    responses={**UPLOADED, **answers(400, 401, 403, 408, 413, 415, 422, 429, 503)},
    openapi_extra=TICKET,
)
async def put_fal_upload(request: Request) -> Response:
    gateway = runtime(request)
    ticket = await gateway.stores.upload_tickets.take(request.query_params.get("ticket", ""))
    if ticket is None:
        raise Unauthenticated("This upload URL is not valid: it is unknown, used or expired.")
    request.scope["tenant"] = ticket.tenant_id
    await gateway.tenants.authenticator.confirm(CredentialRef(ticket.key_id, ticket.key_expires_at), Scope.GENERATE)
    await uploads.stored(request, UploadTarget(ticket.upload_url, ticket.file_url, ticket.content_type))
    return answer({}, request.scope["request_id"])
