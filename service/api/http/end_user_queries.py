"""The list of end users and its query parameters, as tenants and operators have it."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query

from service.api.end_user_views import EndUserList, end_user_entry_view
from service.api.http.cursor_queries import NameCursor
from service.api.http.cursors import decode_name, page_of
from service.domain.request import END_USER_LENGTH
from service.domain.tenant import Tenant
from service.usecases.tenants.end_users import EndUsers


@dataclass(frozen=True, slots=True)
class _Wanted:
    prefix: str
    blocked: bool | None
    limit: int
    cursor: str | None
    """Not decoded yet: an operator's call with a wrong cursor is recorded too."""


async def _read(
    prefix: Annotated[
        str, Query(max_length=END_USER_LENGTH, description="Only ids that begin with this. Default: all.")
    ] = "",
    blocked: Annotated[bool | None, Query(description="Only blocked ones, or only others. Default: all.")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: NameCursor = None,
) -> _Wanted:
    return _Wanted(prefix, blocked, limit, cursor)


EndUserQuery = Annotated[_Wanted, Depends(_read)]


async def end_user_list(service: EndUsers, tenant: Tenant, query: EndUserQuery) -> EndUserList:
    page = await service.page(
        tenant, prefix=query.prefix, blocked=query.blocked, limit=query.limit, after=decode_name(query.cursor)
    )
    return page_of([end_user_entry_view(each) for each in page.items], page.after)
