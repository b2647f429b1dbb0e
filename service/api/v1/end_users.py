"""``/v1/end-users``: the tenant's own customers."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from service.api.http.audited import AuditedRoute
from service.api.http.dependencies import EndUserId, Gateway, Manager, Reader, optional_json_of
from service.api.schemas import EndUserView, ErasedView
from service.domain.erasure import Erasure
from service.domain.generation_view import rfc3339
from service.domain.pricing import usd
from service.domain.reason import BlockReason
from service.usecases.tenants.end_users import EndUser

router = APIRouter(prefix="/v1/end-users", tags=["end users"], route_class=AuditedRoute)


async def _is_known(gateway: Gateway, caller: Manager, end_user_id: EndUserId) -> None:
    """Raise NotFound before the body is read: an end user of another tenant looks like none, whatever the body."""
    await gateway.tenants.end_users.require_known(caller, end_user_id)


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
    return _view(end_user_id, await gateway.tenants.end_users.block(caller, end_user_id, body.reason))


@router.post(
    "/{end_user_id:path}/unblock",
    summary="Unblock an end user",
    description="New generations of the end user are accepted again, and the reason of the block is "
    "deleted. Does nothing if the end user is not blocked.",
)
async def unblock_end_user(gateway: Gateway, caller: Manager, end_user_id: EndUserId) -> EndUserView:
    return _view(end_user_id, await gateway.tenants.end_users.unblock(caller, end_user_id))


@router.get(
    "/{end_user_id:path}/erasure",
    summary="Read the progress of an erasure",
    description="The erasure that runs, or the last one, for a week after its end.",
)
async def read_erasure(gateway: Gateway, caller: Reader, end_user_id: EndUserId) -> ErasedView:
    return _erasure(end_user_id, await gateway.tenants.end_users.erasure(caller, end_user_id))


@router.get(
    "/{end_user_id:path}",
    summary="Read an end user",
    description="Pseudonym, block, refusals by fal's content policy, and the money and count of today.",
)
async def read_end_user(gateway: Gateway, caller: Reader, end_user_id: EndUserId) -> EndUserView:
    return _view(end_user_id, await gateway.tenants.end_users.get(caller, end_user_id))


@router.delete(
    "/{end_user_id:path}",
    summary="Erase an end user",
    description="Deletes prompts, outputs, stored videos, webhook bodies and the name. Sums of money stay. Files at "
    "fal stay as long as fal keeps them. 200: done. 202: workers continue, and `GET …/erasure` shows the progress. "
    "Generations that are created for the end user before the end are erased too.",
    responses={
        200: {"description": "Erased."},
        202: {"model": ErasedView, "description": "Workers continue the erasure."},
    },
)
async def erase_end_user(gateway: Gateway, caller: Manager, end_user_id: EndUserId, response: Response) -> ErasedView:
    found = await gateway.tenants.end_users.erase(caller, end_user_id)
    response.status_code = 200 if found.state == "done" else 202
    return _erasure(end_user_id, found)


def _erasure(end_user_id: str, found: Erasure) -> ErasedView:
    return {
        "object": "erasure",
        "end_user_id": end_user_id,
        "state": found.state,
        "generations": found.generations,
        "in_flight": found.in_flight,
        "remaining": found.remaining,
        "started_at": rfc3339(found.started_at),
        "finished_at": None if found.finished_at is None else rfc3339(found.finished_at),
    }


def _view(end_user_id: str, found: EndUser) -> EndUserView:
    return {
        "id": end_user_id,
        "object": "end_user",
        "pseudonym": found.record.pseudonym,
        "refusals": found.record.refusals,
        "blocked_at": found.record.blocked_at,
        "block_reason": found.record.block_reason,
        "today": {"held": usd(found.today.held), "spent": usd(found.today.spent), "count": found.today.count},
    }
