"""``tenants`` and ``rotate-secret-key``: the use cases and views of ``/admin/v1``."""

import json
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from service.api.admin.limits_schemas import LimitsBody
from service.api.admin.tenant_schemas import (
    NEW_TENANT,
    TENANT_CHANGE,
    WEBHOOK_POINTER,
    TenantView,
    month_view,
    tenant_view,
)
from service.cli.ops.arguments import Reason, TenantId, act_reason
from service.cli.ops.issuers import issuers
from service.cli.ops.session import Command, parsed, with_runtime
from service.cli.output import Columns, JsonOption, show, show_list
from service.config.settings import PREFIX
from service.domain.budgets import Standing
from service.domain.operator import Role
from service.domain.reason import SUSPENSION_REASON, TENANT_REASON
from service.domain.tenant import Tenant

if TYPE_CHECKING:
    from service.runtime import Runtime

tenants = typer.Typer(no_args_is_help=True, add_completion=False, help="Create, read, change and delete tenants.")
tenants.add_typer(issuers, name="issuers")

_LIMITS: Final = tuple(LimitsBody.model_fields)
_LimitOptions = Annotated[
    list[str] | None,
    typer.Option("--limit", help=f"NAME=VALUE; NAME=null removes it; may be repeated. Names: {', '.join(_LIMITS)}."),
]
_REASON: Final = typer.Option(help="Why, 500 characters at most; the tenant can read it.")
_PAGE: Final = 1000
_TENANT_COLUMNS: Final[Columns] = {
    "id": lambda tenant: tenant["id"],
    "name": lambda tenant: tenant["name"],
    "state": lambda tenant: "suspended" if tenant["suspended"] else "paused" if tenant["paused"] else "active",
    "monthly budget USD": lambda tenant: tenant["limits"]["monthly_budget_usd"],
    "spent USD": lambda tenant: tenant["month"]["spent"],
    "held USD": lambda tenant: tenant["month"]["held"],
    "weight": lambda tenant: tenant["limits"]["weight"],
    "created": lambda tenant: tenant["created_at"],
}


@tenants.command("create")
def create_tenant(
    name: Annotated[str, typer.Argument(help="Display name.")],
    limit: _LimitOptions = None,
    require_end_user: Annotated[bool, typer.Option(help="Refuse requests without end_user_id.")] = False,  # noqa: FBT002
) -> None:
    """Create a tenant and print it with the secret that signs its webhooks."""
    body = {"name": name, "require_end_user": require_end_user, "limits": _limits(limit)}
    new = parsed(NEW_TENANT, body)

    async def create(runtime: "Runtime") -> Tenant:
        runtime.generations.admission.check_webhook(new.limits.webhook_url, WEBHOOK_POINTER)
        service = runtime.tenants.service
        limits = new.limits.applied_to(service.default_limits)
        return await service.create(new.name, limits, require_end_user=new.require_end_user)

    show(tenant_view(with_runtime(create, act=_act("create_tenant")), secret=True))


@tenants.command("show")
def show_tenant(tenant_id: TenantId) -> None:
    """Print a tenant with the held and spent money of this month."""

    async def read(runtime: "Runtime") -> TenantView:
        return await _with_month(runtime, await runtime.tenants.service.get(tenant_id))

    show(with_runtime(read))


@tenants.command("list")
def list_tenants(as_json: JsonOption = False) -> None:  # noqa: FBT002
    """List all tenants with the held and spent money of this month, oldest first."""
    show_list(_all_tenants(), _TENANT_COLUMNS, as_json=as_json)


def _all_tenants() -> Iterator[TenantView]:
    after: str | None = None

    async def read(runtime: "Runtime") -> list[tuple[Tenant, Standing]]:
        page = await runtime.tenants.service.page(limit=_PAGE, after=after)
        return list(zip(page, await runtime.operations.tenant_budgets.of_month(page), strict=True))

    while page := with_runtime(read):
        yield from (tenant_view(tenant, month=month_view(tenant, standing)) for tenant, standing in page)
        after = page[-1][0].id


@tenants.command("update")
def update_tenant(
    tenant_id: TenantId,
    name: Annotated[str | None, typer.Option(help="New name.")] = None,
    limit: _LimitOptions = None,
    require_end_user: Annotated[bool | None, typer.Option(help="Refuse requests without end_user_id.")] = None,
) -> None:
    """Change the given fields; all others are unchanged."""
    fields = {"name": name, "require_end_user": require_end_user, "limits": _limits(limit) or None}
    change = parsed(TENANT_CHANGE, {key: value for key, value in fields.items() if value is not None})

    async def update(runtime: "Runtime") -> TenantView:
        runtime.generations.admission.check_webhook(
            None if change.limits is None else change.limits.webhook_url, WEBHOOK_POINTER
        )
        return await _with_month(runtime, await runtime.tenants.service.update(tenant_id, change.applied_to))

    show(with_runtime(update, act=_act("change_tenant", tenant_id)))


@tenants.command("suspend")
def suspend_tenant(tenant_id: TenantId, reason: Annotated[str | None, _REASON] = None) -> None:
    """Refuse all requests of a tenant; its queued generations continue."""
    why = parsed(SUSPENSION_REASON, {"reason": reason}).reason
    act = _act("suspend_tenant", tenant_id, role=Role.OPERATOR, reason=why)
    show(tenant_view(with_runtime(lambda runtime: runtime.tenants.service.suspend(tenant_id, why), act=act)))


@tenants.command("unsuspend")
def unsuspend_tenant(tenant_id: TenantId, reason: Reason) -> None:
    """End a suspension; a pause stays."""
    why = act_reason(reason)
    act = _act("unsuspend_tenant", tenant_id, role=Role.OPERATOR, reason=why)
    show(tenant_view(with_runtime(lambda runtime: runtime.tenants.service.unsuspend(tenant_id), act=act)))


@tenants.command("unpause")
def unpause_tenant(tenant_id: TenantId, reason: Reason) -> None:
    """End a pause; a suspension stays."""
    why = act_reason(reason)
    act = _act("unpause_tenant", tenant_id, role=Role.OPERATOR, reason=why)
    show(tenant_view(with_runtime(lambda runtime: runtime.tenants.service.unpause(tenant_id), act=act)))


@tenants.command("resume")
def resume_tenant(tenant_id: TenantId) -> None:
    """Lift a suspension and a pause; `unsuspend` and `unpause` lift one of them."""
    act = _act("resume_tenant", tenant_id, role=Role.OPERATOR)
    show(tenant_view(with_runtime(lambda runtime: runtime.tenants.service.resume(tenant_id), act=act)))


@tenants.command("pause")
def pause_tenant(tenant_id: TenantId, reason: Annotated[str, _REASON]) -> None:
    """Stop sending a tenant's generations to fal; its API keys keep working."""
    why = parsed(TENANT_REASON, {"reason": reason}).reason
    act = _act("pause_tenant", tenant_id, role=Role.OPERATOR, reason=why)
    show(tenant_view(with_runtime(lambda runtime: runtime.tenants.service.pause(tenant_id, why), act=act)))


@tenants.command("delete")
def delete_tenant(
    tenant_id: TenantId,
    drain: Annotated[bool, typer.Option("--drain", help="Suspend the tenant first, so that its work ends.")] = False,  # noqa: FBT002
    yes: Annotated[bool, typer.Option("--yes", help="Delete without a question.")] = False,  # noqa: FBT002
) -> None:
    """Delete a tenant without unfinished generations, with its API keys and usage. Asks first."""
    if not yes:
        _confirm(tenant_id)
    act = _act("delete_tenant", tenant_id)
    with_runtime(lambda runtime: runtime.tenants.service.delete(tenant_id, drain=drain), act=act)
    typer.echo(f"Deleted {tenant_id} and its API keys.", err=True)


def _confirm(tenant_id: str) -> None:
    if not _is_interactive():
        typer.echo(f"Not deleted: without a terminal to ask on, give --yes to delete {tenant_id}.", err=True)
        raise typer.Exit(2)
    name = with_runtime(lambda runtime: runtime.tenants.service.get(tenant_id)).name
    typer.confirm(f"Delete tenant {name!r} ({tenant_id}) with its API keys and usage?", abort=True, err=True)


def _is_interactive() -> bool:
    return sys.stdin.isatty()


def rotate_secret_key() -> None:
    """Encrypt the secrets with the first key. Afterwards the other keys of GATEWAY_SECRET_KEY can be removed."""
    count = with_runtime(lambda runtime: runtime.tenants.service.reseal(), act=_act("rotate_secret_key"))
    typer.echo(f"Encrypted the secrets of {count} tenants with the first key of {PREFIX}SECRET_KEY.")


def _act(
    action: str,
    tenant_id: str | None = None,
    *,
    role: Role = Role.ADMIN,
    reason: str | None = None,
) -> Command:
    return Command(action=action, role=role, target=tenant_id, tenant_id=tenant_id, reason=reason)


async def _with_month(runtime: "Runtime", tenant: Tenant) -> TenantView:
    return tenant_view(tenant, month=month_view(tenant, await runtime.tenants.usage.month(tenant.id)))


def _limits(options: list[str] | None) -> dict[str, Any]:
    """Parse ``weight=3`` and ``monthly_budget_usd=500``. A value that is not JSON is a string."""
    limits = {}
    for option in options or []:
        name, equals, text = option.partition("=")
        if not equals:
            raise typer.BadParameter(f"{option!r}: write NAME=VALUE", param_hint="--limit")
        if name not in _LIMITS:
            near = get_close_matches(name, _LIMITS, n=1)
            meant = f" Did you mean {near[0]}?" if near else ""
            typer.echo(f"{name!r} is not a limit.{meant} Limits: {', '.join(_LIMITS)}.", err=True)
            raise typer.Exit(2)
        try:
            limits[name] = json.loads(text)
        except ValueError:
            limits[name] = text
    return limits
