"""Operators' commands beside tenants and keys; and how every command opens the runtime and shows an answer."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, TypeVar

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError
from rich.console import Console
from rich.table import Table

from service import log
from service.errors import GatewayError, Invalid
from service.runtime import Runtime, open_runtime
from service.settings import PREFIX, Settings
from service.usecases.audit import Findings

Result = TypeVar("Result")


def audit(*, as_json: bool) -> None:
    """Exit 1 when the books differ."""
    findings = with_runtime(lambda runtime: runtime.audit.run())
    if as_json:
        show({"clean": findings.clean, "differences": [asdict(d) for d in findings.told()]})
    else:
        _tell(findings)
    if not findings.clean:
        raise typer.Exit(1)


def rotate_secret_key() -> None:
    """After a new key was put first in GATEWAY_SECRET_KEY; the old one may go when this has ended."""
    count = with_runtime(lambda runtime: runtime.tenants.reseal())
    typer.echo(f"Sealed the secrets of {count} tenants with the first key of {PREFIX}SECRET_KEY.")


def _tell(findings: Findings) -> None:
    books = f"{findings.entries} ledger entries, {findings.windows} windows, {findings.slots} slots"
    if findings.clean:
        typer.echo(f"Clean: {books} agree.")
        return
    table = Table(title=f"{len(findings.differences)} differences ({books})")
    for head in ("what", "expected", "found"):
        table.add_column(head, overflow="fold")
    for difference in findings.told():
        table.add_row(difference.what, difference.expected, difference.found)
    Console(stderr=True).print(table)


def settings() -> Settings:
    """Settings from the environment, or an exit that names each variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        for fault in error.errors(include_input=False, include_url=False):
            name = PREFIX + "_".join(str(part) for part in fault["loc"]).upper()
            typer.echo(f"{name}: {fault['msg']}", err=True)
        raise typer.Exit(2) from None
    except SettingsError as error:
        typer.echo(f"{PREFIX}*: {error}; lists and tables are written as JSON", err=True)
        raise typer.Exit(2) from None


def with_runtime(use: Callable[[Runtime], Awaitable[Result]]) -> Result:
    configured = settings()
    log.configure(configured.log_level, secrets=configured.secrets())  # to stderr; what is asked for goes to stdout

    async def opened() -> Result:
        async with open_runtime(configured) as runtime:
            return await use(runtime)

    try:
        return asyncio.run(opened())
    except Invalid as error:
        raise refused(error) from None
    except GatewayError as error:
        typer.echo(error.detail, err=True)
        raise typer.Exit(1) from None


def refused(error: Invalid) -> typer.Exit:
    """Each fault by its pointer, and the exit of a wrong usage."""
    for fault in error.errors:
        typer.echo(f"{fault.pointer}: {fault.detail}", err=True)
    return typer.Exit(2)


def show(value: Any) -> None:
    typer.echo(json.dumps(value))
