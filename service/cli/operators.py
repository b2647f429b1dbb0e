"""``tenants`` and ``keys``: the admin API's use cases from the command line, straight on the store."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import typer
from pydantic import ValidationError

from service.domain.view import rfc3339
from service.errors import GatewayError
from service.runtime import Runtime, open_runtime
from service.settings import PREFIX, Settings

tenants = typer.Typer(no_args_is_help=True, help="Create and list tenants.")
keys = typer.Typer(no_args_is_help=True, help="Create API keys.")
Result = TypeVar("Result")


@tenants.command("create")
def create_tenant(name: Annotated[str, typer.Argument(help="A name for people.")]) -> None:
    """Create a tenant; prints it with the secret that signs its webhooks."""

    async def create(runtime: Runtime) -> dict[str, Any]:
        tenant = await runtime.tenants.create(name)
        return {"id": tenant.id, "name": tenant.name, "webhook_secret": tenant.webhook_secret}

    _print(with_runtime(create))


@tenants.command("list")
def list_tenants() -> None:
    """List all tenants."""

    async def all_of_them(runtime: Runtime) -> list[dict[str, Any]]:
        return [
            {"id": tenant.id, "name": tenant.name, "created_at": rfc3339(tenant.created_at)}
            for tenant in await runtime.tenants.list()
        ]

    for line in with_runtime(all_of_them):
        _print(line)


@keys.command("create")
def create_key(
    tenant_id: Annotated[str, typer.Argument(help="The tenant's id, ten_…")],
    name: Annotated[str, typer.Option(help="What the key is for.")] = "",
) -> None:
    """Create an API key; it is shown this once."""

    async def create(runtime: Runtime) -> dict[str, Any]:
        new = await runtime.tenants.create_key(tenant_id, name=name)
        return {"id": new.key.id, "tenant_id": new.key.tenant_id, "name": new.key.name, "key": new.text}

    _print(with_runtime(create))


def settings() -> Settings:
    """Settings from the environment, or an exit that names each variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        for fault in error.errors(include_input=False, include_url=False):
            name = PREFIX + "_".join(str(part) for part in fault["loc"]).upper()
            typer.echo(f"{name}: {fault['msg']}", err=True)
        raise typer.Exit(2) from None


def with_runtime(use: Callable[[Runtime], Awaitable[Result]]) -> Result:
    async def opened() -> Result:
        async with open_runtime(settings()) as runtime:
            return await use(runtime)

    try:
        return asyncio.run(opened())
    except GatewayError as error:
        typer.echo(error.detail, err=True)
        raise typer.Exit(1) from None


def _print(value: dict[str, Any]) -> None:
    typer.echo(json.dumps(value))
