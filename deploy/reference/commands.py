"""The page of the command line: every command with its arguments and options."""

from collections.abc import Iterator
from typing import Any, Final

import typer.main

from reference import markdown
from service.cli import app

PROGRAM: Final = "seedance-gateway"
_INTRODUCTION: Final = """\
# Command line

`generate` and `listen` are clients. `up` and `demo` run a whole stack on one machine, for development. All other
commands read the `GATEWAY_*` variables of the deployment. `seedance-gateway COMMAND --help` prints the same texts."""


def page() -> str:
    parts = [_INTRODUCTION]
    for name, command in commands():
        parts += [f"## {name}", _usage(name, command), _paragraph(command.help)]
        rows = [row for parameter in command.params if (row := _row(parameter))]
        if rows:
            parts.append(markdown.table(("Parameter", "Default", "Meaning"), rows))
    return markdown.page(*parts)


def commands() -> list[tuple[str, Any]]:
    """Return each command by its name, like ``tenants create``, in the order of ``--help``."""
    return list(_below(typer.main.get_command(app), ""))


def _below(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "list_commands"):
        yield name, command
        return
    context = typer.Context(command)
    for child in command.list_commands(context):
        yield from _below(command.get_command(context, child), f"{name} {child}".strip())


def _usage(name: str, command: Any) -> str:
    words = [_word(parameter) for parameter in command.params if parameter.param_type_name == "argument"]
    options = ["[OPTIONS]"] if len(words) < len(command.params) else []
    return f"`{' '.join([PROGRAM, name, *options, *words])}`"


def _word(parameter: Any) -> str:
    name = str(parameter.name).upper() + ("..." if parameter.nargs == -1 else "")
    return name if parameter.required else f"[{name}]"


def _row(parameter: Any) -> tuple[str, str, str] | None:
    if getattr(parameter, "hidden", False) or parameter.name == "help":
        return None
    if parameter.param_type_name == "argument":
        names = f"`{_word(parameter)}`"
    else:
        names = ", ".join(f"`{option}`" for option in (*parameter.opts, *parameter.secondary_opts))
    return names, _default(parameter), _meaning(parameter)


def _default(parameter: Any) -> str:
    default = parameter.default
    if parameter.required:
        return "required"
    if default in (None, False, "", (), []):
        return ""
    if default is True and parameter.secondary_opts:
        return f"`{parameter.opts[0]}`"
    return f"`{default}`"


def _meaning(parameter: Any) -> str:
    variable = f" Environment variable: `{parameter.envvar}`." if parameter.envvar else ""
    return f"{_paragraph(parameter.help)}{variable}"


def _paragraph(text: str | None) -> str:
    return " ".join((text or "").split())
