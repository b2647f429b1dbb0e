"""``generations``: search, show and cancel on a real Redis."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from service.cli import app
from service.config.settings import Settings
from service.domain import ids
from service.runtime import Runtime, open_runtime
from tests.support import factories

Run = Callable[..., Result]


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)

    def invoked(*arguments: str, exits: int = 0) -> Result:
        result = CliRunner().invoke(app, ["generations", *arguments])
        assert result.exit_code == exits, result.output + repr(result.exception)
        return result

    return invoked


@pytest.fixture
def made(settings: Settings) -> list[dict[str, str]]:
    """Return tenant and generation of two tenants."""

    async def create(runtime: Runtime) -> list[dict[str, str]]:
        found = []
        for name, order in (("acme", "7"), ("shop", "8")):
            owner = await runtime.tenants.service.create(name)
            request = factories.create_request(metadata={"order": order}, end_user_id="anna", prompt="A garden.")
            result = await runtime.generations.creator.create(owner, request)
            found.append({"tenant": owner.id, "id": result.generation.id})
        return found

    async def opened() -> list[dict[str, str]]:
        async with open_runtime(settings) as runtime:
            return await create(runtime)

    return asyncio.run(opened())


def rows(result: Result) -> list[Any]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_list_has_the_filters_of_the_api(run: Run, made: list[dict[str, str]]) -> None:
    first, second = made
    assert {row["id"] for row in rows(run("list"))} == {first["id"], second["id"]}
    for options, expected in (
        (("--tenant", first["tenant"]), [first["id"]]),
        (("--tenant", first["tenant"], "--metadata", "order=7"), [first["id"]]),
        (("--tenant", first["tenant"], "--metadata", "order=8"), []),
        (("--tenant", second["tenant"], "--end-user-id", "anna", "--status", "queued"), [second["id"]]),
        (("--status", "failed", "--error-code", "expired"), []),
        (("--created-before", "2020-01-01T00:00:00Z"), []),
        (("--fal-request-id", "unknown"), []),
    ):
        found = rows(run("list", *options, "--json"))
        assert [row["id"] for row in found] == expected, options
        assert "garden" not in json.dumps(found)


def test_list_says_that_there_are_more(run: Run, made: list[dict[str, str]]) -> None:
    found = run("list", "--limit", "1")
    assert len(rows(found)) == 1
    assert "There are more" in found.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--metadata", "order"),
        ("--metadata", "=7"),
        ("--metadata", "order=7"),
        ("--end-user-id", "anna"),
        ("--status", "done"),
        ("--error-code", "bad"),
        ("--created-after", "yesterday"),
        ("--created-after", "2026-01-31T00:00:00"),
        ("--created-before", "9999-12-31T23:59:59Z"),
        ("--limit", "0"),
    ],
)
def test_list_bad_option_exits_2(run: Run, options: tuple[str, ...]) -> None:
    run("list", *options, exits=2)


def test_show_on_a_terminal_names_what_happened(
    run: Run, made: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    view = rows(run("show", made[0]["id"]))[0]
    assert (view["tenant_id"], view["input"]["prompt"]) == (made[0]["tenant"], "A garden.")
    monkeypatch.setattr("service.cli.output._is_terminal", lambda: True)
    text = run("show", made[0]["id"]).stdout
    for expected in ("acme", "A garden.", "created", "ledger hold", '{"order": "7"}'):
        assert expected in text
    run("show", ids.new(ids.GENERATION, datetime.now(UTC)), exits=1)


def test_cancel_prints_the_canceled_generation(run: Run, made: list[dict[str, str]]) -> None:
    run("cancel", made[0]["id"], exits=2)
    run("cancel", made[0]["id"], "--reason", " ", exits=2)
    assert rows(run("cancel", made[0]["id"], "--reason", "a loop"))[0]["status"] == "canceled"
    run("cancel", made[0]["id"], "--reason", "a loop", exits=1)
