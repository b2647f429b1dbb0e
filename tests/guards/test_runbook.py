"""The documents name commands, settings, metrics, sections and files that exist; the runbook has its form."""

import re
from typing import Any

import pytest
import typer.main

from reference import metrics
from service.cli import app
from service.config.settings import PREFIX, Settings
from tests.guards.repository import README, ROOT

RUNBOOK = ROOT / "docs/runbook.md"
TEXTS = [RUNBOOK, README, *sorted((ROOT / "docs").glob("*/*.md")), ROOT / "docs/tutorial.md"]
#: Sections that are no alert's.
OTHERS = {"Stopping", "Backup", "Restore", "Upgrade"}


def known_commands() -> set[str]:
    def paths(command: Any, before: str) -> set[str]:
        context = typer.Context(command)
        names = command.list_commands(context) if hasattr(command, "list_commands") else []
        children = {name: command.get_command(context, name) for name in names}
        own = {f"{before} {name}".strip() for name in children}
        return own.union(*(paths(child, f"{before} {name}".strip()) for name, child in children.items()))

    return paths(typer.main.get_command(app), "")


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_is_named_exists(path: Any) -> None:
    known = known_commands()
    named = re.findall(r"seedance-gateway ([a-z-]+)(?: ([a-z-]+))?", path.read_text())
    assert {first for first, _ in named if first not in known} == set()
    groups = {name.split(" ")[0] for name in known if " " in name}
    assert {f"{a} {b}" for a, b in named if a in groups and b and f"{a} {b}" not in known} == set()


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_setting_that_is_named_exists(path: Any) -> None:
    named = set(re.findall(rf"\b{PREFIX}([A-Z_]+)\b", path.read_text())) - {"URL"}  # of the client
    assert {name for name in named if name.lower() not in Settings.model_fields} == set()


def test_every_metric_that_is_named_exists() -> None:
    known = set(metrics.types())
    named = set(re.findall(r"\b(gateway_[a-z_]+)\b", RUNBOOK.read_text()))
    assert named - known == set()


def test_every_section_is_an_alerts_or_a_known_one() -> None:
    heads = re.findall(r"^## (.+)$", RUNBOOK.read_text(), re.MULTILINE)
    alerts = [head for head in heads if head not in OTHERS]
    assert set(heads) - set(alerts) == OTHERS
    assert len(alerts) > 10
    for alert in alerts:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)+", alert), alert


def test_every_alert_says_what_it_means_what_to_look_at_and_what_to_do() -> None:
    sections = re.split(r"^## ", RUNBOOK.read_text(), flags=re.MULTILINE)[1:]
    for section in sections:
        head = section.splitlines()[0]
        if head not in OTHERS:
            for word in ("**Means.**", "**Look at.**", "**Do.**"):
                assert word in section, (head, word)


def test_every_link_within_it_leads_somewhere() -> None:
    text = RUNBOOK.read_text()
    anchors = {head.lower() for head in re.findall(r"^## (.+)$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([\w-]+)\)", text)) <= anchors
