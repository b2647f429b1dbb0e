"""``/v1/end-users``: the tenant's own customers."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from service.api.end_user_views import EndUserList, EndUserView, ErasedView, end_user_view, erasure_view
from service.api.http.audited import AuditedRoute
from service.api.http.dependencies import EndUserId, Gateway, Manager, Reader, optional_json_of
from service.api.http.end_user_queries import EndUserQuery, end_user_list
from service.domain.reason import BlockReason

router = APIRouter(prefix="/v1/end-users", tags=["end users"], route_class=AuditedRoute)


async def _is_known(gateway: Gateway, caller: Manager, end_user_id: EndUserId) -> None:
    """Raise NotFound before the body is read: an end user of another tenant looks like none, whatever the body."""
    await gateway.tenants.end_users.require_known(caller, end_user_id)


@router.get(
    "",
    summary="List end users",
    description="End users that created a generation in the last 400 days, by id; `blocked=true`: blocked ones, by "
    "pseudonym, those whose id was erased too. A page may be shorter than `limit` and not be the last one.",
)
async def list_end_users(gateway: Gateway, caller: Reader, query: EndUserQuery) -> EndUserList:
    return await end_user_list(gateway.tenants.end_users, caller, query)


@router.post(
    "/{end_user_id:path}/block",
    summary="Block an end user",
    description="New generations of the end user are refused with 403. Queued generations continue. A second call "
    "changes the reason if it gives one, and never `blocked_at`.",
    dependencies=[Depends(_is_known)],
)
async def block_end_user(
    gateway: Gateway,
    caller: Manager,
    body: Annotated[BlockReason, optional_json_of(BlockReason)],
    end_user_id: EndUserId,
) -> EndUserView:
    return end_user_view(end_user_id, await gateway.tenants.end_users.block(caller, end_user_id, body.reason))


@router.post(
    "/{end_user_id:path}/unblock",
    summary="Unblock an end user",
    description="New generations of the end user are accepted again, and the reason of the block is "
    "deleted. Does nothing if the end user is not blocked.",
)
async def unblock_end_user(gateway: Gateway, caller: Manager, end_user_id: EndUserId) -> EndUserView:
    return end_user_view(end_user_id, await gateway.tenants.end_users.unblock(caller, end_user_id))


@router.get(
    "/{end_user_id:path}/erasure",
    summary="Read the progress of an erasure",
    description="The erasure that runs, or the last one, for a week after its end.",
)
async def read_erasure(gateway: Gateway, caller: Reader, end_user_id: EndUserId) -> ErasedView:
    found = await gateway.tenants.end_users.erasure(caller, end_user_id)
    return erasure_view(end_user_id, found, gateway.tenants.end_users.remains(found))


@router.get(
    "/{end_user_id:path}",
    summary="Read an end user",
    description="Pseudonym, block, refusals by fal's content policy, money, and when it was last seen.",
)
async def read_end_user(gateway: Gateway, caller: Reader, end_user_id: EndUserId) -> EndUserView:
    return end_user_view(end_user_id, await gateway.tenants.end_users.get(caller, end_user_id))


@router.delete(
    "/{end_user_id:path}",
    summary="Erase an end user",
    description="Deletes prompts, outputs, stored videos, webhook bodies and the name. `remains` lists "
    "what stays, and for how long. 200: done. 202: workers continue, and `GET …/erasure` shows the progress. "
    "Generations that are created for the end user before the end are erased too.",
    responses={
        200: {"description": "Erased."},
        202: {"model": ErasedView, "description": "Workers continue the erasure."},
    },
)
async def erase_end_user(gateway: Gateway, caller: Manager, end_user_id: EndUserId, response: Response) -> ErasedView:
    found = await gateway.tenants.end_users.erase(caller, end_user_id)
    response.status_code = 200 if found.state == "done" else 202
    return erasure_view(end_user_id, found, gateway.tenants.end_users.remains(found))
