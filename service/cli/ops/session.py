"""What all operator commands share: settings, an open runtime, and errors as messages with exit codes."""

import asyncio
import getpass
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import typer
from pydantic import TypeAdapter, ValidationError
from pydantic_settings import SettingsError

from service.config.secret_files import SecretFileError
from service.config.settings import PREFIX, Settings
from service.config.unknown import unknown_variables
from service.domain.actor import Actor, ActorKind
from service.domain.faults import sentence
from service.domain.json_body import parse
from service.domain.models.registry import ModelsError
from service.domain.operator import Role
from service.errors import GatewayError, Invalid, StoreUnavailable
from service.model_registry import registry_of

if TYPE_CHECKING:  # importing the runtime takes a second: only commands that reach Redis do it
    from service.runtime import Runtime

Result = TypeVar("Result")
#: pydantic-settings names the field in its message alone.
_FIELD: Final = re.compile(r'field "(\w+)"')


def read_settings() -> Settings:
    """Read the settings from the environment. Print a line for each missing or wrong variable and exit 2."""
    try:
        settings = Settings()
        registry_of(settings)
    except ModelsError as error:
        _print_fault(error.setting, error.fault)
        raise typer.Exit(2) from None
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        for field, text in dict.fromkeys((str(fault["loc"][0]), _text(fault)) for fault in found):
            _print_fault(field, text)
        _print_unknown()
        raise typer.Exit(2) from None
    except SecretFileError as error:
        _print_fault(error.field, error.fault)
        raise typer.Exit(2) from None
    except SettingsError as error:
        (field,) = _FIELD.findall(str(error)) or ("*",)
        _print_fault(field, 'is not JSON; a list is written as ["a", "b"], a table as {"a": 1}')
        raise typer.Exit(2) from None
    return settings


def _text(fault: Any) -> str:
    return fault["msg"].removeprefix("Value error, ") if fault["type"] == "value_error" else sentence(fault)


def _print_fault(field: str, fault: str) -> None:
    known = Settings.model_fields.get(field)
    typer.echo(f"{PREFIX}{field.upper()}: {fault}. ({known.description if known else 'A setting'})", err=True)


def _print_unknown() -> None:
    """Print the variables that no setting reads: one of them may be a missing one, misspelt."""
    for unknown in unknown_variables(os.environ):
        meant = f": did you mean {unknown.closest}?" if unknown.closest else "."
        typer.echo(f"{unknown.name}: is not a setting{meant}", err=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """An act of the command line, for the audit trail. ``action`` is the operation id of the same call of the API."""

    action: str
    role: Role
    target: str | None = None
    tenant_id: str | None = None
    reason: str | None = None
    own: str | None = None
    """Id of an operator who may do this with any role: it acts on itself."""


def with_runtime(
    use: "Callable[[Runtime], Awaitable[Result]]",
    *,
    act: Command | None = None,
    role: Role = Role.VIEWER,
    own: str | None = None,
) -> Result:
    """Run ``use`` with an open runtime. Errors of the gateway become a message on stderr and exit code 1 or 2.

    ``act``: what the audit trail records, and the role that it needs. None: a read, for which ``role`` is needed, or
    being the operator ``own``.
    """
    from service.observability import log  # noqa: PLC0415
    from service.observability.start import warn_of_unknown_variables  # noqa: PLC0415
    from service.runtime import open_runtime  # noqa: PLC0415

    settings = read_settings()
    # Logs go to stderr; stdout is for the result. A terminal shows both, mixed: there, only warnings are written.
    level = "WARNING" if sys.stderr.isatty() and settings.log_level == "INFO" else settings.log_level
    log.configure(level, secrets=settings.secrets(), log_format=settings.log_format)
    warn_of_unknown_variables()

    async def opened() -> Result:
        async with open_runtime(settings) as runtime:
            actor = await _actor(runtime)
            if act is None:
                actor.require(role, unless_own=own)
                return await use(runtime)
            async with runtime.trail.act(
                actor, act.action, target=act.target, tenant_id=act.tenant_id, reason=act.reason
            ):
                actor.require(act.role, unless_own=act.own)
                return await use(runtime)

    with _errors_as_exit_codes():
        return asyncio.run(opened())


@contextmanager
def _errors_as_exit_codes() -> Iterator[None]:
    """Print an error of the gateway, and exit: with 2 for a wrong argument, with 1 for any other."""
    try:
        yield
    except Invalid as error:
        raise refused(error) from None
    except StoreUnavailable as error:
        cause = f" Redis: {error.cause}." if error.cause else ""
        typer.echo(f"{error.detail}{cause} `seedance-gateway doctor` checks the installation.", err=True)
        raise typer.Exit(1) from None
    except GatewayError as error:
        typer.echo(error.detail, err=True)
        raise typer.Exit(1) from None


async def _actor(runtime: "Runtime") -> Actor:
    """Return the operator of GATEWAY_OPERATOR_TOKEN; without it the local user, who has all secrets anyway."""
    token = runtime.settings.operator_token
    if token is not None:
        return await runtime.operators.authenticator.authenticate(token.get_secret_value())
    return Actor(kind=ActorKind.LOCAL, name=local_user(), role=Role.ADMIN)


def local_user() -> str:
    """Return the name of the user of this machine."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without an entry in its passwd
        return f"uid {os.getuid()}"


def parsed(adapter: TypeAdapter[Result], body: dict[str, Any]) -> Result:
    """Validate options as the body of the same call of the API. Exit 2 if the API would refuse it."""
    try:
        return parse(adapter, json.dumps(body).encode())
    except Invalid as error:
        raise refused(error) from None


def refused(error: Invalid) -> typer.Exit:
    """Print each error with its pointer. Return the exit code of wrong usage."""
    for fault in error.errors:
        typer.echo(": ".join(filter(None, (fault.pointer, fault.detail))), err=True)
    return typer.Exit(2)
