"""Operator commands without a module of their own, and what all operator commands share: settings and runtime."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Final, TypeVar

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from service.cli.output import show
from service.config.settings import PREFIX, Settings
from service.errors import GatewayError, Invalid, StoreUnavailable

if TYPE_CHECKING:  # importing the runtime takes a second: only commands that reach Redis do it
    from service.runtime import Runtime
    from service.usecases.operations.audit import Findings, Progress

Result = TypeVar("Result")
_LONG_STEP: Final = 20_000
_SHOWN_EVERY: Final = 10_000
#: pydantic-settings names the field in its message alone.
_FIELD: Final = re.compile(r'field "(\w+)"')


def audit(*, as_json: bool) -> None:
    """Print the differences; exit 1 if there are any."""
    findings = with_runtime(lambda runtime: runtime.operations.audit.run(_show_progress))
    if as_json:
        show({"clean": findings.clean, "differences": [asdict(d) for d in findings.listed()]})
    else:
        _print_findings(findings)
    if not findings.clean:
        raise typer.Exit(1)


async def _show_progress(progress: "Progress") -> None:
    """Print a line for each 10,000 entries of a long step."""
    if progress.total > _LONG_STEP and progress.done % _SHOWN_EVERY == 0:
        typer.echo(f"{progress.step}: {progress.done} of {progress.total}", err=True)


def rotate_secret_key() -> None:
    """Run it after a new key was put first in GATEWAY_SECRET_KEY; then the old key can be removed."""
    count = with_runtime(lambda runtime: runtime.tenants.service.reseal())
    typer.echo(f"Sealed the secrets of {count} tenants with the first key of {PREFIX}SECRET_KEY.")


def _print_findings(findings: "Findings") -> None:
    books = f"{findings.entries} ledger entries, {findings.windows} windows, {findings.slots} slots"
    if findings.clean:
        typer.echo(f"Clean: {books} agree.")
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(title=f"{len(findings.differences)} differences ({books})")
    for head in ("what", "expected", "found"):
        table.add_column(head, overflow="fold")
    for difference in findings.listed():
        table.add_row(difference.what, difference.expected, difference.found)
    Console(stderr=True).print(table)


def settings() -> Settings:
    """Read the settings from the environment; exit 2 with a line for each missing or wrong variable."""
    try:
        return Settings()
    except ValidationError as error:
        for fault in error.errors(include_input=False, include_url=False):
            missing = fault["type"] == "missing"
            _print_wrong(str(fault["loc"][0]), "is required" if missing else fault["msg"].removeprefix("Value error, "))
        raise typer.Exit(2) from None
    except SettingsError as error:
        (field,) = _FIELD.findall(str(error)) or ("*",)
        _print_wrong(field, 'is no JSON; a list is written as ["a", "b"], a table as {"a": 1}')
        raise typer.Exit(2) from None


def _print_wrong(field: str, fault: str) -> None:
    known = Settings.model_fields.get(field)
    typer.echo(f"{PREFIX}{field.upper()}: {fault}. ({known.description if known else 'A setting'})", err=True)


def with_runtime(use: "Callable[[Runtime], Awaitable[Result]]") -> Result:
    """Run ``use`` with an open runtime. Errors of the gateway become a message on stderr and exit code 1 or 2."""
    from service.observability import log  # noqa: PLC0415
    from service.runtime import open_runtime  # noqa: PLC0415

    configured = settings()
    log.configure(
        configured.log_level, secrets=configured.secrets(), log_format=configured.log_format
    )  # to stderr; what is asked for goes to stdout

    async def opened() -> Result:
        async with open_runtime(configured) as runtime:
            return await use(runtime)

    try:
        return asyncio.run(opened())
    except Invalid as error:
        raise refused(error) from None
    except StoreUnavailable as error:
        typer.echo(f"{error.detail} `seedance-gateway doctor` names the cause.", err=True)
        raise typer.Exit(1) from None
    except GatewayError as error:
        typer.echo(error.detail, err=True)
        raise typer.Exit(1) from None


def refused(error: Invalid) -> typer.Exit:
    """Print each error with its pointer; return the exit of a wrong usage."""
    for fault in error.errors:
        typer.echo(": ".join(filter(None, (fault.pointer, fault.detail))), err=True)
    return typer.Exit(2)
