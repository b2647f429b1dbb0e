"""``/v1/end-users``: the tenant's own customers."""

from typing import Final

from fastapi import APIRouter, Request, Response

from service.api.answers import json_response
from service.api.dependencies import runtime, tenant
from service.api.schemas import EndUserView, ErasedView, problems
from service.domain.price import usd
from service.domain.tenant import Scope
from service.usecases.end_users import EndUser

router = APIRouter(prefix="/v1/end-users", tags=["end users"])

_PROBLEMS: Final = (401, 403, 404, 429, 503)


@router.post(
    "/{end_user_id:path}/block",
    summary="Refuse new generations of an end user",
    responses={200: {"model": EndUserView}, **problems(*_PROBLEMS)},
)
async def block(request: Request, end_user_id: str) -> Response:
    caller = await tenant(request, Scope.MANAGE)
    return json_response(_view(end_user_id, await runtime(request).end_users.block(caller, end_user_id)))


@router.post(
    "/{end_user_id:path}/unblock",
    summary="Take an end user's generations again",
    status_code=204,
    responses={204: {"description": "Not blocked"}, **problems(*_PROBLEMS)},
)
async def unblock(request: Request, end_user_id: str) -> Response:
    caller = await tenant(request, Scope.MANAGE)
    await runtime(request).end_users.unblock(caller, end_user_id)
    return Response(status_code=204)


@router.get(
    "/{end_user_id:path}",
    summary="Read an end user",
    responses={200: {"model": EndUserView}, **problems(*_PROBLEMS)},
)
async def read(request: Request, end_user_id: str) -> Response:
    caller = await tenant(request, Scope.READ)
    return json_response(_view(end_user_id, await runtime(request).end_users.get(caller, end_user_id)))


@router.delete(
    "/{end_user_id:path}",
    summary="Erase an end user",
    description="Prompts, outputs, webhooks and the name are gone with this answer; sums of money stay.",
    responses={200: {"model": ErasedView}, **problems(*_PROBLEMS)},
)
async def erase(request: Request, end_user_id: str) -> Response:
    caller = await tenant(request, Scope.MANAGE)
    erased = await runtime(request).end_users.erase(caller, end_user_id)
    answer: ErasedView = {
        "object": "erasure",
        "end_user_id": end_user_id,
        "generations": erased.generations,
        "in_flight": erased.in_flight,
    }
    return json_response(answer)


def _view(end_user_id: str, found: EndUser) -> EndUserView:
    return {
        "id": end_user_id,
        "object": "end_user",
        "pseudonym": found.record.pseudonym,
        "refusals": found.record.refusals,
        "blocked_at": found.record.blocked_at,
        "today": {"held": usd(found.today.held), "spent": usd(found.today.spent), "count": found.today.count},
    }
