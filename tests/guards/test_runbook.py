"""The documents name commands, settings, metrics, sections and files that exist; the runbook has its form."""

import re
from typing import Any

import pytest

from reference import commands, metrics
from service.config.secret_files import SUFFIX, is_secret
from service.config.settings import PREFIX, Settings
from tests.guards.repository import README, ROOT

RUNBOOK = ROOT / "docs/runbook.md"
TEXTS = [RUNBOOK, README, *sorted((ROOT / "docs").glob("*/*.md")), ROOT / "docs/tutorial.md"]
#: Sections without an alert.
OTHERS = {"A tenant floods the queue", "Erase a person", "Stopping", "Backup", "Restore", "Upgrade"}


def options(command: Any) -> set[str]:
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_named_commands_and_options_exist(path: Any) -> None:
    known = {name: options(command) for name, command in commands.commands()}
    for call in re.findall(r"seedance-gateway ([a-z][^`\n|#]*)", path.read_text()):
        words = call.split()
        name = next((name for n in (3, 2) if (name := " ".join(words[:n])) in known), words[0])
        assert name in known, call
        assert set(re.findall(r"(?<!\S)--[a-z-]+", call)) <= known[name], call


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_named_settings_exist(path: Any) -> None:
    named = set(re.findall(rf"\b{PREFIX}([A-Z_]+)\b", path.read_text()))
    files = {name.upper() + SUFFIX for name, field in Settings.model_fields.items() if is_secret(field)}
    assert {name for name in named - files if name.lower() not in Settings.model_fields} == set()


def test_runbook_metrics_exist() -> None:
    known = set(metrics.types())
    named = set(re.findall(r"\b(gateway_[a-z_]+)\b", RUNBOOK.read_text()))
    assert named - known == set()


def test_runbook_sections_are_alerts_or_operations() -> None:
    heads = re.findall(r"^## (.+)$", RUNBOOK.read_text(), re.MULTILINE)
    alerts = [head for head in heads if head not in OTHERS]
    assert set(heads) - set(alerts) == OTHERS
    assert len(alerts) > 10
    for alert in alerts:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)+", alert), alert


def test_runbook_alerts_have_cause_checks_and_action() -> None:
    sections = re.split(r"^## ", RUNBOOK.read_text(), flags=re.MULTILINE)[1:]
    for section in sections:
        head = section.splitlines()[0]
        if head not in OTHERS:
            for heading in ("**Means.**", "**Look at.**", "**Do.**"):
                assert heading in section, (head, heading)
