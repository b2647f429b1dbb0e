"""``keys``: the use cases and views of API keys."""

from datetime import timedelta
from typing import Annotated, Final

import typer

from service.api.admin.key_schemas import key_view
from service.cli.ops.arguments import TenantId
from service.cli.ops.session import Command, with_runtime
from service.cli.output import Columns, JsonOption, show, show_list
from service.domain.operator import Role
from service.domain.tenant import Scope

keys = typer.Typer(no_args_is_help=True, add_completion=False, help="Create, list, rotate and revoke API keys.")
_KeyId = Annotated[str, typer.Argument(help="The key's id: the part between the two underscores.")]
_COLUMNS: Final[Columns] = {
    "id": lambda key: key["id"],
    "name": lambda key: key["name"],
    "scopes": lambda key: " ".join(key["scopes"]),
    "created": lambda key: key["created_at"],
    "expires": lambda key: key["expires_at"],
    "revoked": lambda key: key["revoked_at"],
    "last used": lambda key: key["last_used_at"],
}


@keys.command("create")
def create_key(
    tenant_id: TenantId,
    name: Annotated[str, typer.Option(help="What the key is for.")] = "",
    scope: Annotated[list[Scope] | None, typer.Option(help="May be repeated. Default: all.")] = None,
) -> None:
    """Create an API key and print it. It cannot be shown again."""
    scopes = tuple(scope or Scope)
    act = _act("create_api_key", tenant_id, target=tenant_id)
    new = with_runtime(lambda runtime: runtime.tenants.api_keys.create(tenant_id, name=name, scopes=scopes), act=act)
    show(key_view(new.key, text=new.text))


@keys.command("list")
def list_keys(tenant_id: TenantId, as_json: JsonOption = False) -> None:  # noqa: FBT002
    """List a tenant's API keys without their secrets."""
    found = with_runtime(lambda runtime: runtime.tenants.api_keys.of_tenant(tenant_id))
    show_list((key_view(key, last_used_at=used) for key, used in found), _COLUMNS, as_json=as_json)


@keys.command("rotate")
def rotate_key(
    tenant_id: TenantId,
    key_id: _KeyId,
    overlap_hours: Annotated[float, typer.Option(min=0, max=720, help="Hours that the old key still works.")] = 24.0,
) -> None:
    """Replace a key: create and print a successor with the same name and scopes; the old key expires later."""
    overlap = timedelta(hours=overlap_hours)
    act = _act("rotate_api_key", tenant_id, target=key_id)
    new = with_runtime(lambda runtime: runtime.tenants.api_keys.rotate(tenant_id, key_id, overlap=overlap), act=act)
    show(key_view(new.key, text=new.text))


@keys.command("revoke")
def revoke_key(tenant_id: TenantId, key_id: _KeyId) -> None:
    """Revoke a key: every gateway refuses it within a second."""
    act = _act("revoke_api_key", tenant_id, target=key_id)
    show(key_view(with_runtime(lambda runtime: runtime.tenants.api_keys.revoke(tenant_id, key_id), act=act)))


def _act(action: str, tenant_id: str, *, target: str) -> Command:
    return Command(action=action, role=Role.ADMIN, target=target, tenant_id=tenant_id)
