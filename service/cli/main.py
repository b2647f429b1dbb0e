"""The application ``seedance-gateway``. Modules with commands import no implementation before a command runs."""

from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from service.build_info import commit, version
from service.cli import processes
from service.cli.client import complete, generate, models
from service.cli.dev import commands as dev
from service.cli.ops import commands as ops


class _LazyGroup(TyperGroup):
    """A group whose module is imported when one of its commands is used or listed."""

    def _group(self) -> Any:
        name = str(self.name)
        module = import_module(f"service.cli.ops.{_MODULES[name]}")
        return typer.main.get_command(getattr(module, name.replace("-", "_")))

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # click declares a base class
        return list(self._group().list_commands(ctx))

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        return self._group().get_command(ctx, cmd_name)


class _Commands(TyperGroup):
    """All commands. ``generate`` and ``--help`` start without the modules of the groups."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")  # pydantic's, in front of the sentence
            raise

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return [*super().list_commands(ctx), *_GROUPS]

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        if cmd_name not in _GROUPS:
            return super().get_command(ctx, cmd_name)
        return _LazyGroup(name=cmd_name, help=_GROUPS[cmd_name], no_args_is_help=True)


_GROUPS: Final = {
    "tenants": "Create, read, change and delete tenants.",
    "bulk": "Cancel or replay all that match, as a job of the workers.",
    "keys": "Create, list, rotate and revoke API keys.",
    "end-users": "List, show, block and erase the end users of a tenant.",
    "deliveries": "List, read and replay webhook deliveries of all tenants.",
    "endpoints": "List webhook endpoints that fail; enable, disable and test them.",
    "generations": "Search, show and cancel generations.",
    "operators": "Create, list, change and disable operators, and their tokens.",
}
#: Module of each group.
_MODULES: Final = {
    "tenants": "tenants",
    "bulk": "bulk",
    "keys": "keys",
    "end-users": "end_users",
    "deliveries": "webhooks",
    "endpoints": "webhooks",
    "generations": "generations",
    "operators": "operators",
}

app = typer.Typer(cls=_Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command("generate")(generate.generate)
app.command("complete")(complete.complete)
app.command("models")(models.models)
processes.register(app)
dev.register(app)
ops.register(app)


def _print_version(requested: bool) -> None:  # noqa: FBT001  (typer's form of a callback)
    if requested:
        typer.echo(f"{version()} ({commit()})")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[  # noqa: FBT002
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print version and commit.")
    ] = False,
) -> None:
    """Seedance Gateway: Seedance 2.0 image-to-video for a company's internal services."""
