"""``seedance-gateway tenants`` and ``keys``: the admin API's use cases and shapes, straight on the store."""

import json
from datetime import timedelta
from typing import Annotated, Any, Final, TypeVar

import typer
from pydantic import TypeAdapter

from service.api.admin.schemas import (
    NEW_TENANT,
    TENANT_CHANGE,
    WEBHOOK_POINTER,
    TenantView,
    key_view,
    month_view,
    tenant_view,
)
from service.cli.ops.commands import refused, show, with_runtime
from service.domain.request import parse
from service.domain.tenant import Limits, Scope, Tenant
from service.errors import Invalid
from service.runtime import Runtime
from service.usecases.tenants.tenants import DEFAULT_OVERLAP

tenants = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Create, read, change and delete tenants. Answers are JSON."
)
keys = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Create, list, rotate and revoke API keys. Answers are JSON."
)

_TenantId = Annotated[str, typer.Argument(help="The tenant's id, ten_…")]
_KeyId = Annotated[str, typer.Argument(help="The key's id: the part between the two underscores.")]
_LimitOptions = Annotated[
    list[str] | None,
    typer.Option("--limit", help="NAME=VALUE, as in the admin API; 'null' lifts one. May be repeated."),
]
_PAGE: Final = 1000
Model = TypeVar("Model")


@tenants.command("create")
def create_tenant(
    name: Annotated[str, typer.Argument(help="A name for people.")],
    limit: _LimitOptions = None,
    require_end_user: Annotated[bool, typer.Option(help="Refuse requests without end_user_id.")] = False,  # noqa: FBT002
) -> None:
    """Create a tenant; prints it with the secret that signs its webhooks."""
    body = {"name": name, "require_end_user": require_end_user, "limits": _limits(limit)}
    wanted = _parsed(NEW_TENANT, body)

    async def create(runtime: Runtime) -> Tenant:
        runtime.generations.admission.check_webhook(wanted.limits.webhook_url, WEBHOOK_POINTER)
        return await runtime.tenants.service.create(
            wanted.name, wanted.limits.applied_to(Limits()), require_end_user=wanted.require_end_user
        )

    show(tenant_view(with_runtime(create), secret=True))


@tenants.command("show")
def show_tenant(tenant_id: _TenantId) -> None:
    """Print a tenant, and what this month's budget stands at."""

    async def read(runtime: Runtime) -> TenantView:
        return await _with_month(runtime, await runtime.tenants.service.get(tenant_id))

    show(with_runtime(read))


@tenants.command("list")
def list_tenants() -> None:
    """Print all tenants, one a line."""
    after: str | None = None
    while page := with_runtime(lambda runtime, start=after: runtime.tenants.service.page(limit=_PAGE, after=start)):  # type: ignore[misc]
        for tenant in page:
            show(tenant_view(tenant))
        after = page[-1].id


@tenants.command("update")
def update_tenant(
    tenant_id: _TenantId,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    limit: _LimitOptions = None,
    require_end_user: Annotated[bool | None, typer.Option(help="Refuse requests without end_user_id.")] = None,
) -> None:
    """Change what is given, keep the rest."""
    given = {"name": name, "require_end_user": require_end_user, "limits": _limits(limit) or None}
    change = _parsed(TENANT_CHANGE, {key: value for key, value in given.items() if value is not None})

    async def update(runtime: Runtime) -> TenantView:
        runtime.generations.admission.check_webhook(
            None if change.limits is None else change.limits.webhook_url, WEBHOOK_POINTER
        )
        return await _with_month(runtime, await runtime.tenants.service.update(tenant_id, change.applied_to))

    show(with_runtime(update))


@tenants.command("suspend")
def suspend_tenant(tenant_id: _TenantId) -> None:
    """Refuse its keys; what it has queued goes on."""
    show(tenant_view(with_runtime(lambda runtime: runtime.tenants.service.suspend(tenant_id))))


@tenants.command("resume")
def resume_tenant(tenant_id: _TenantId) -> None:
    """Take its keys and dispatch its generations again."""
    show(tenant_view(with_runtime(lambda runtime: runtime.tenants.service.resume(tenant_id))))


@tenants.command("pause")
def pause_tenant(tenant_id: _TenantId, reason: Annotated[str, typer.Option(help="Why.")]) -> None:
    """Dispatch nothing of it; its keys go on."""
    show(tenant_view(with_runtime(lambda runtime: runtime.tenants.service.pause(tenant_id, reason))))


@tenants.command("delete")
def delete_tenant(
    tenant_id: _TenantId,
    drain: Annotated[bool, typer.Option("--drain", help="Suspend it first, so that its work runs out.")] = False,  # noqa: FBT002
) -> None:
    """Delete a tenant without work in flight."""
    with_runtime(lambda runtime: runtime.tenants.service.delete(tenant_id, drain=drain))
    typer.echo(f"{tenant_id} is gone, with its keys.", err=True)


@keys.command("create")
def create_key(
    tenant_id: _TenantId,
    name: Annotated[str, typer.Option(help="What the key is for.")] = "",
    scope: Annotated[list[Scope] | None, typer.Option(help="May be repeated; all when absent.")] = None,
) -> None:
    """Create an API key; it is shown this once."""
    scopes = tuple(scope or Scope)
    new = with_runtime(lambda runtime: runtime.tenants.service.create_key(tenant_id, name=name, scopes=scopes))
    show(key_view(new.key, text=new.text))


@keys.command("list")
def list_keys(tenant_id: _TenantId) -> None:
    """Print a tenant's keys, one a line, without their secrets."""
    for key, used in with_runtime(lambda runtime: runtime.tenants.service.list_keys(tenant_id)):
        show(key_view(key, last_used_at=used))


@keys.command("rotate")
def rotate_key(
    tenant_id: _TenantId,
    key_id: _KeyId,
    overlap_hours: Annotated[float, typer.Option(min=0, max=720, help="How long the old key works on.")] = (
        DEFAULT_OVERLAP / timedelta(hours=1)
    ),
) -> None:
    """Create a successor with the same name and scopes; it is shown this once."""
    overlap = timedelta(hours=overlap_hours)
    new = with_runtime(lambda runtime: runtime.tenants.service.rotate_key(tenant_id, key_id, overlap=overlap))
    show(key_view(new.key, text=new.text))


@keys.command("revoke")
def revoke_key(tenant_id: _TenantId, key_id: _KeyId) -> None:
    """Refuse a key everywhere within a second."""
    show(key_view(with_runtime(lambda runtime: runtime.tenants.service.revoke_key(tenant_id, key_id))))


async def _with_month(runtime: Runtime, tenant: Tenant) -> TenantView:
    return tenant_view(tenant, month=month_view(tenant, await runtime.tenants.usage.month(tenant.id)))


def _limits(options: list[str] | None) -> dict[str, Any]:
    """``weight=3`` and ``monthly_budget_usd=500``; a value that is no JSON is a string."""
    limits = {}
    for option in options or []:
        name, equals, text = option.partition("=")
        if not equals:
            raise typer.BadParameter(f"{option!r}: write NAME=VALUE", param_hint="--limit")
        try:
            limits[name] = json.loads(text)
        except ValueError:
            limits[name] = text
    return limits


def _parsed(adapter: TypeAdapter[Model], body: dict[str, Any]) -> Model:
    try:
        return parse(adapter, json.dumps(body).encode())
    except Invalid as error:
        raise refused(error) from None
