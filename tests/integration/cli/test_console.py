"""``console-login``: a link that logs in once, recorded in the audit trail."""

from dataclasses import replace

import pytest
from fastapi import FastAPI
from typer.testing import CliRunner

from service.cli.ops.console import login_link
from service.config.settings import Settings
from service.domain.operator import Role
from tests.support import factories
from tests.support.console import browser_of


def test_console_login_prints_a_link(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from service.cli import app

    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)

    result = CliRunner().invoke(app, ["console-login", "--url", "https://video.example.com/eu/"])

    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("https://video.example.com/eu/console/login/link?ticket=")
    assert "within 5 minutes" in result.stderr


async def test_console_login_is_for_the_operator_of_the_token(app: FastAPI, settings: Settings) -> None:
    runtime = app.state.runtime
    operator = await runtime.operators.service.create("Ada", Role.VIEWER)
    _, text = await runtime.operators.service.create_token(operator.id)
    own = factories.settings(settings.redis_url, operator_token=text)

    link = await login_link(replace(runtime, settings=own))

    async with browser_of(app) as browser:
        path = link.removeprefix("http://127.0.0.1:8080")
        token = await browser.token(path)
        await browser.post("/console/login/link", token=token, ticket=link.partition("ticket=")[2])
        assert "Ada, viewer" in (await browser.get("/console")).text
