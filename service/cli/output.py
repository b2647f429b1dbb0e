"""Output of operator commands: tables on a terminal, one JSON object a line otherwise."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object a line, also on a terminal.")]
Columns = Mapping[str, Callable[[Any], object]]
"""Heading of each column, and the function that returns its value from a view."""


def show(view: Any) -> None:
    typer.echo(json.dumps(view))


def show_facts(view: Any, facts: Iterable[tuple[str, object]], *, as_json: bool) -> None:
    """Print one view as JSON, or on a terminal what it says, one fact a line."""
    if as_json or not _is_terminal():
        show(view)
        return
    pairs = list(facts)
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        typer.echo(f"{name.ljust(width)}  {_cell(value)}")


def show_list(views: Iterable[Any], columns: Columns, *, as_json: bool) -> None:
    if as_json or not _is_terminal():
        for view in views:
            show(view)
        return
    from rich.console import Console  # noqa: PLC0415  (a tenth of a second; JSON output does not need it)
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    for heading in columns:
        table.add_column(heading, overflow="fold", no_wrap=heading == "id")  # an id is copied from the screen
    for view in views:
        table.add_row(*(Text(_cell(value(view))) for value in columns.values()))
    Console(highlight=False).print(table)


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def _cell(value: object) -> str:
    """Return the text of one cell. Control characters are escaped: names come from callers."""
    text = "-" if value is None or value == "" else str(value)
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
