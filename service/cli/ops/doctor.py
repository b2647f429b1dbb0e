"""``doctor``: its lines, for people or as JSON."""

import sys
from dataclasses import asdict
from typing import Final

import typer
from rich.console import Console
from rich.table import Table

from service.cli.ops.commands import show, with_runtime
from service.usecases.operations.doctor import CheckStatus, Finding

#: Of a table that a program reads, or a shell in a container without a terminal.
_UNFOLDED: Final = 1000
_COLOURS: Final = {CheckStatus.OK: "green", CheckStatus.WARN: "yellow", CheckStatus.FAIL: "red"}


def doctor(*, as_json: bool) -> None:
    """Exit 1 where anything fails; what is only to be known exits 0."""
    findings = with_runtime(lambda runtime: runtime.operations.doctor.run())
    healthy = all(finding.verdict is not CheckStatus.FAIL for finding in findings)
    if as_json:
        show({"healthy": healthy, "findings": [asdict(finding) for finding in findings]})
    else:
        _tell(findings)
    if not healthy:
        raise typer.Exit(1)


def _tell(findings: list[Finding]) -> None:
    table = Table(box=None, pad_edge=False)
    for head in ("", "check", "found", "what to do"):
        table.add_column(head, overflow="fold")
    for finding in findings:
        colour = _COLOURS[finding.verdict]
        table.add_row(f"[{colour}]{finding.verdict}[/]", finding.check, _plain(finding.told), _plain(finding.remedy))
    Console(width=None if sys.stdout.isatty() else _UNFOLDED).print(table)


def _plain(text: str) -> str:
    """Square brackets would be read as markup."""
    return text.replace("[", "\\[")
