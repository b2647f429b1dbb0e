"""``/admin/v1/operators``: operators and their tokens; ``/admin/v1/me``: the caller."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response

from service.api.admin.key_schemas import Rotation
from service.api.admin.operator_schemas import (
    NewOperator,
    NewOperatorToken,
    OperatorChange,
    OperatorList,
    OperatorSelfView,
    OperatorTokenList,
    OperatorTokenView,
    OperatorView,
    operator_view,
    self_view,
    token_view,
)
from service.api.http.audited import AuditedRoute
from service.api.http.compression import NO_TRANSFORM
from service.api.http.cursor_queries import Cursor
from service.api.http.cursors import decode_cursor, page_of
from service.api.http.dependencies import ADMIN, Gateway, Viewer, json_of, optional_json_of
from service.api.http.preconditions import IF_MATCH, Version, show_version
from service.api.schemas import problems
from service.domain import ids
from service.domain.operator import Operator, Role

router = APIRouter(prefix="/admin/v1", tags=["admin"], route_class=AuditedRoute)


@router.get(
    "/me",
    summary="Read the calling operator",
    description="Name, role and expiry of the token of this call.",
)
async def read_operator_self(gateway: Gateway, actor: Viewer) -> OperatorSelfView:
    if actor.id is None or actor.token_id is None:
        return self_view(actor, None)
    return self_view(actor, await gateway.operators.service.get_token(actor.id, actor.token_id))


@router.post(
    "/operators",
    summary="Create an operator",
    dependencies=[ADMIN],
    description="It has no token yet. 1,000 operators at most.",
    status_code=201,
    responses=problems(409),
)
async def create_operator(
    gateway: Gateway, body: Annotated[NewOperator, json_of(NewOperator)], response: Response
) -> OperatorView:
    return _answer(response, await gateway.operators.service.create(body.name, body.role))


@router.get("/operators", summary="List operators", dependencies=[ADMIN], description="All operators in pages.")
async def list_operators(
    gateway: Gateway,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Cursor = None,
) -> OperatorList:
    after = decode_cursor(cursor, ids.OPERATOR)
    page = await gateway.operators.service.page(limit=limit + 1, after=after)
    more = page[limit - 1].id if len(page) > limit else None
    return page_of([operator_view(operator) for operator in page[:limit]], more)


@router.get(
    "/operators/{operator_id}",
    summary="Read an operator",
    dependencies=[ADMIN],
    description="`ETag` has the version for `If-Match`.",
)
async def read_operator(gateway: Gateway, operator_id: str, response: Response) -> OperatorView:
    return _answer(response, await gateway.operators.service.get(operator_id))


@router.patch(
    "/operators/{operator_id}",
    summary="Change an operator",
    dependencies=[ADMIN],
    description="A new role acts at once. The last admin keeps its role unless `GATEWAY_ADMIN_TOKEN` is set (409).",
    responses=problems(409, 412, 422),
    openapi_extra={"parameters": [IF_MATCH]},
)
async def change_operator(
    gateway: Gateway,
    body: Annotated[OperatorChange, json_of(OperatorChange)],
    operator_id: str,
    version: Version,
    response: Response,
) -> OperatorView:
    service = gateway.operators.service
    return _answer(response, await service.change(operator_id, name=body.name, role=body.role, versions=version))


@router.post(
    "/operators/{operator_id}/disable",
    summary="Disable an operator",
    dependencies=[ADMIN],
    description="All its tokens and logins are refused at once. The last admin cannot be disabled unless "
    "`GATEWAY_ADMIN_TOKEN` is set (409).",
    responses=problems(409, 412),
    openapi_extra={"parameters": [IF_MATCH]},
)
async def disable_operator(gateway: Gateway, operator_id: str, version: Version, response: Response) -> OperatorView:
    return _answer(response, await gateway.operators.service.disable(operator_id, versions=version))


@router.post(
    "/operators/{operator_id}/enable",
    summary="Enable an operator",
    dependencies=[ADMIN],
    description="Its tokens that have neither expired nor been revoked work again.",
    responses=problems(412),
    openapi_extra={"parameters": [IF_MATCH]},
)
async def enable_operator(gateway: Gateway, operator_id: str, version: Version, response: Response) -> OperatorView:
    return _answer(response, await gateway.operators.service.enable(operator_id, versions=version))


@router.post(
    "/operators/{operator_id}/tokens",
    summary="Create a token of an operator",
    dependencies=[ADMIN, NO_TRANSFORM],
    description="The response shows the token once. 100 valid tokens at most.",
    status_code=201,
    responses=problems(409),
)
async def create_operator_token(
    gateway: Gateway, body: Annotated[NewOperatorToken, optional_json_of(NewOperatorToken)], operator_id: str
) -> OperatorTokenView:
    new = await gateway.operators.service.create_token(operator_id, name=body.name, expires_at=body.expires_at)
    return token_view(new.token, text=new.text)


@router.get(
    "/operators/{operator_id}/tokens",
    summary="List the tokens of an operator",
    description="Without their secrets, with the time of their last use. An operator that is no admin reads its own.",
)
async def list_operator_tokens(gateway: Gateway, actor: Viewer, operator_id: str) -> OperatorTokenList:
    actor.require(Role.ADMIN, unless_own=operator_id)
    found = await gateway.operators.service.list_tokens(operator_id)
    return {"object": "list", "data": [token_view(token, last_used_at=used) for token, used in found]}


@router.post(
    "/operators/{operator_id}/tokens/{token_id}/rotate",
    summary="Rotate a token of an operator",
    dependencies=[NO_TRANSFORM],
    description="Creates a successor with the same expiry. The old token expires after `overlap_seconds`. An operator "
    "that is no admin rotates its own tokens. A token that is revoked or has expired cannot be rotated.",
    status_code=201,
    responses=problems(409, 412),
)
async def rotate_operator_token(
    gateway: Gateway,
    actor: Viewer,
    body: Annotated[Rotation, optional_json_of(Rotation)],
    operator_id: str,
    token_id: str,
) -> OperatorTokenView:
    actor.require(Role.ADMIN, unless_own=operator_id)
    overlap = timedelta(seconds=body.overlap_seconds)
    new = await gateway.operators.service.rotate_token(operator_id, token_id, overlap=overlap)
    return token_view(new.token, text=new.text)


@router.post(
    "/operators/{operator_id}/tokens/{token_id}/revoke",
    summary="Revoke a token of an operator",
    description="It is refused at once. An operator that is no admin revokes its own tokens.",
    responses=problems(412),
)
async def revoke_operator_token(gateway: Gateway, actor: Viewer, operator_id: str, token_id: str) -> OperatorTokenView:
    actor.require(Role.ADMIN, unless_own=operator_id)
    return token_view(await gateway.operators.service.revoke_token(operator_id, token_id))


def _answer(response: Response, operator: Operator) -> OperatorView:
    """Set the ``ETag``, and return the operator."""
    show_version(response, operator.version)
    return operator_view(operator)
