"""``end-users``: the use cases and views of ``/admin/v1/tenants/{tenant_id}/end-users``."""

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Final

import typer

from service.api.end_user_views import (
    EndUserEntryView,
    EndUserView,
    ErasedView,
    end_user_entry_view,
    end_user_view,
    erasure_view,
)
from service.cli.ops.arguments import TenantId, act_reason
from service.cli.ops.session import Command, with_runtime
from service.cli.output import Columns, JsonOption, show, show_list
from service.domain.operator import Role
from service.domain.tenant import Tenant

if TYPE_CHECKING:
    from service.runtime import Runtime

end_users = typer.Typer(
    no_args_is_help=True, add_completion=False, help="List, show, block and erase the end users of a tenant."
)

_EndUserId = Annotated[str, typer.Argument(help="The end user, as the tenant names it.")]
_Reason = Annotated[str, typer.Option(help="Why, 500 characters at most; the tenant can read that of a block.")]
#: End users that one exchange reads.
_PAGE: Final = 100
_COLUMNS: Final[Columns] = {
    "id": lambda view: view["id"],
    "pseudonym": lambda view: view["pseudonym"],
    "blocked": lambda view: view["blocked_at"],
    "refusals": lambda view: view["refusals"],
    "spent today USD": lambda view: view["today"]["spent"],
    "spent this month USD": lambda view: view["spent_this_month"],
    "stored": lambda view: view["generations"],
    "last seen": lambda view: view["last_seen_at"],
}


@end_users.command("list")
def list_end_users(
    tenant_id: TenantId,
    prefix: Annotated[str, typer.Option(help="Only ids that begin with this.")] = "",
    blocked: Annotated[bool | None, typer.Option(help="Only blocked ones, or only others.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The most end users that are listed.")] = 100,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """List the end users of a tenant by id, with money, refusals and when they were last seen."""

    async def read(runtime: "Runtime") -> list[EndUserEntryView]:
        tenant = await runtime.tenants.service.get(tenant_id)
        found: list[EndUserEntryView] = []
        after: str | None = None
        while len(found) < limit:
            page = await runtime.tenants.end_users.page(
                tenant, prefix=prefix, blocked=blocked, limit=min(_PAGE, limit - len(found)), after=after
            )
            found += map(end_user_entry_view, page.items)
            if (after := page.after) is None:
                break
        return found

    act = Command(action="list_end_users_of_tenant", role=Role.OPERATOR, target=tenant_id, tenant_id=tenant_id)
    show_list(with_runtime(read, act=act), _COLUMNS, as_json=as_json)


@end_users.command("show")
def show_end_user(tenant_id: TenantId, end_user_id: _EndUserId) -> None:
    """Print an end user, and its erasure if there was one in the last week."""

    async def read(runtime: "Runtime", tenant: Tenant) -> EndUserView:
        return end_user_view(end_user_id, await runtime.tenants.end_users.get(tenant, end_user_id))

    show(_done("list_end_users_of_tenant", tenant_id, read))


@end_users.command("block")
def block_end_user(tenant_id: TenantId, end_user_id: _EndUserId, reason: _Reason) -> None:
    """Refuse new generations of an end user; queued ones continue."""
    why = act_reason(reason)

    async def block(runtime: "Runtime", tenant: Tenant) -> EndUserView:
        return end_user_view(end_user_id, await runtime.tenants.end_users.block(tenant, end_user_id, why))

    show(_done("block_end_user_of_tenant", tenant_id, block, reason=why))


@end_users.command("unblock")
def unblock_end_user(tenant_id: TenantId, end_user_id: _EndUserId, reason: _Reason) -> None:
    """Accept new generations of an end user again."""

    async def unblock(runtime: "Runtime", tenant: Tenant) -> EndUserView:
        return end_user_view(end_user_id, await runtime.tenants.end_users.unblock(tenant, end_user_id))

    show(_done("unblock_end_user_of_tenant", tenant_id, unblock, reason=act_reason(reason)))


@end_users.command("erase")
def erase_end_user(
    tenant_id: TenantId,
    end_user_id: _EndUserId,
    reason: _Reason,
    yes: Annotated[bool, typer.Option("--yes", help="Erase without a question.")] = False,  # noqa: FBT002
) -> None:
    """Erase all data of an end user, and print the receipt: what was erased, and what remains. Asks first."""
    why = act_reason(reason)
    if not yes:
        _confirm(tenant_id, end_user_id)

    async def erase(runtime: "Runtime", tenant: Tenant) -> ErasedView:
        found = await runtime.tenants.end_users.erase(tenant, end_user_id)
        return erasure_view(end_user_id, found, runtime.tenants.end_users.remains(found))

    show(_done("erase_end_user_of_tenant", tenant_id, erase, role=Role.ADMIN, reason=why))


@end_users.command("erasure")
def show_erasure(tenant_id: TenantId, end_user_id: _EndUserId) -> None:
    """Print the receipt of an erasure again, for a week after its end."""

    async def read(runtime: "Runtime", tenant: Tenant) -> ErasedView:
        found = await runtime.tenants.end_users.erasure(tenant, end_user_id)
        return erasure_view(end_user_id, found, runtime.tenants.end_users.remains(found))

    show(_done("read_erasure_of_tenant", tenant_id, read))


def _confirm(tenant_id: str, end_user_id: str) -> None:
    if not sys.stdin.isatty():
        typer.echo("Not erased: without a terminal to ask on, give --yes.", err=True)
        raise typer.Exit(2)
    typer.confirm(f"Erase all data of the end user {end_user_id!r} of {tenant_id}?", abort=True, err=True)


def _done(
    action: str,
    tenant_id: str,
    use: "Callable[[Runtime, Tenant], Awaitable[EndUserView | ErasedView]]",
    *,
    role: Role = Role.OPERATOR,
    reason: str | None = None,
) -> EndUserView | ErasedView:
    """Run an act on a tenant. It is recorded: every one returns the data of a person, or changes it."""

    async def with_tenant(runtime: "Runtime") -> EndUserView | ErasedView:
        return await use(runtime, await runtime.tenants.service.get(tenant_id))

    return with_runtime(with_tenant, act=Command(action=action, role=role, tenant_id=tenant_id, reason=reason))
