"""``tenants issuers``: trusted issuers of tokens, with the use cases and views of ``/admin/v1``."""

import json
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from service.api.admin.issuer_schemas import NEW_ISSUER, issuer_view
from service.cli.ops.arguments import TenantId
from service.cli.ops.session import Command, refused, with_runtime
from service.cli.output import Columns, JsonOption, show, show_list
from service.domain.json_body import parse
from service.domain.operator import Role
from service.domain.tenant import Scope
from service.errors import Invalid

issuers = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Trust issuers whose tokens (JWT) act for a tenant."
)

_COLUMNS: Final[Columns] = {
    "id": lambda issuer: issuer["id"],
    "name": lambda issuer: issuer["name"],
    "issuer": lambda issuer: issuer["issuer"],
    "audience": lambda issuer: issuer["audience"],
    "subject": lambda issuer: issuer["subject"],
    "scopes": lambda issuer: " ".join(issuer["scopes"]),
    "last used": lambda issuer: issuer["last_used_at"],
}


@issuers.command("add")
def add_issuer(
    tenant_id: TenantId,
    issuer: Annotated[str, typer.Option(help="`iss` of the tokens, or spiffe://<trust domain>.")],
    audience: Annotated[str, typer.Option(help="The value that `aud` must have or contain.")],
    subject: Annotated[str, typer.Option(help="Pattern of `sub`; * matches up to the next / or :, ** anything.")],
    jwks_url: Annotated[str | None, typer.Option(help="URL of the public keys. Or give --jwks-file.")] = None,
    jwks_file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="File with the public keys, a JWK Set.")
    ] = None,
    claim: Annotated[
        list[str] | None, typer.Option(help="NAME=PATTERN that a claim must match; may be repeated.")
    ] = None,
    scope: Annotated[list[Scope] | None, typer.Option(help="May be repeated. Default: generate and read.")] = None,
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
) -> None:
    """Trust an issuer: its tokens then work where a key does. Fetches the public keys once."""
    body: dict[str, Any] = {
        "name": name,
        "issuer": issuer,
        "audience": audience,
        "subject": subject,
        "claims": dict(map(_claim, claim or [])),
        "jwks_url": jwks_url,
        "jwks": None if jwks_file is None else _json(jwks_file),
        **({"scopes": scope} if scope else {}),
    }
    try:
        wanted = parse(NEW_ISSUER, json.dumps(body).encode()).wanted()
    except Invalid as error:
        raise refused(error) from None
    act = _act("create_trusted_issuer", tenant_id)
    show(issuer_view(with_runtime(lambda runtime: runtime.tenants.trusted_issuers.add(tenant_id, wanted), act=act)))


@issuers.command("list")
def list_issuers(tenant_id: TenantId, as_json: JsonOption = False) -> None:  # noqa: FBT002
    """List the trusted issuers of a tenant."""
    found = with_runtime(lambda runtime: runtime.tenants.trusted_issuers.list(tenant_id))
    show_list((issuer_view(issuer, last_used_at=used) for issuer, used in found), _COLUMNS, as_json=as_json)


@issuers.command("remove")
def remove_issuer(
    tenant_id: TenantId, issuer_id: Annotated[str, typer.Argument(help="The trusted issuer's id, iss_…")]
) -> None:
    """Trust an issuer no longer: every gateway refuses its tokens within a second."""
    act = _act("delete_trusted_issuer", tenant_id, issuer_id)
    with_runtime(lambda runtime: runtime.tenants.trusted_issuers.remove(tenant_id, issuer_id), act=act)
    typer.echo(f"Removed {issuer_id}.", err=True)


def _act(action: str, tenant_id: str, target: str | None = None) -> Command:
    return Command(action=action, role=Role.ADMIN, target=target or tenant_id, tenant_id=tenant_id)


def _claim(text: str) -> tuple[str, str]:
    name, equals, pattern = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r}: write NAME=PATTERN", param_hint="--claim")
    return name, pattern


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except ValueError:
        raise typer.BadParameter(f"{path} is not JSON", param_hint="--jwks-file") from None
