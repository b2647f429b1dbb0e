"""``operators``, ``trail`` and ``audit --trail`` on the command line."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from service.cli import app
from service.config.settings import Settings


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)

    def call(*words: str) -> Result:
        return CliRunner().invoke(app, words)

    return call


def test_operators_and_their_acts(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = json.loads(run("operators", "create", "Ada", "--role", "viewer").stdout)
    token = json.loads(run("operators", "tokens", "create", ada["id"], "--name", "laptop").stdout)
    assert json.loads(run("operators", "show", ada["id"]).stdout)["role"] == "viewer"

    monkeypatch.setenv("GATEWAY_OPERATOR_TOKEN", token["token"])
    assert run("operators", "list").exit_code == 1
    assert run("operators", "disable", ada["id"]).exit_code == 1
    rotated = json.loads(run("operators", "tokens", "rotate", ada["id"], token["id"], "--overlap-hours", "1").stdout)
    assert run("operators", "tokens", "revoke", ada["id"], rotated["id"]).exit_code == 0
    assert len(run("operators", "tokens", "list", ada["id"]).stdout.splitlines()) == 2

    monkeypatch.delenv("GATEWAY_OPERATOR_TOKEN")
    assert json.loads(run("operators", "change", ada["id"], "--role", "admin").stdout)["role"] == "admin"
    assert json.loads(run("operators", "disable", ada["id"]).stdout)["disabled_at"] is not None
    assert json.loads(run("operators", "enable", ada["id"]).stdout)["disabled_at"] is None

    entries = [json.loads(line) for line in run("trail").stdout.splitlines()]
    assert [(entry["action"], entry["outcome"]) for entry in reversed(entries)] == [
        ("create_operator", "done"),
        ("create_operator_token", "done"),
        ("disable_operator", "refused"),
        ("rotate_operator_token", "done"),
        ("revoke_operator_token", "done"),
        ("change_operator", "done"),
        ("disable_operator", "done"),
        ("enable_operator", "done"),
    ]
    refused = run("trail", "--actor", "Ada", "--outcome", "refused", "--since", "2000-01-01T00:00:00Z", "--csv").stdout
    assert refused.count("disable_operator") == 1
    assert run("trail", "--until", "yesterday").exit_code == 2
    intact = run("audit", "--trail")
    assert (intact.exit_code, entries[0]["hash"] in intact.stdout) == (0, True)
    assert json.loads(run("audit", "--trail", "--json").stdout)["intact"] is True
