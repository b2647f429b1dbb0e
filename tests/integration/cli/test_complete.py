"""``generate --draft`` and ``complete`` through HTTP. No worker runs: the test ends the draft itself."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import typer.testing

from service.app import create_app
from service.cli.main import app as commands
from service.config.settings import Settings
from service.domain.status import Status
from tests.support import factories
from tests.support.served import Served, served

T2V = "bytedance/seedance-2.5/text-to-video"
Run = Callable[..., typer.testing.Result]


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return factories.settings(redis_url, models=("*",), resolutions=("480p", "1080p"))


@contextmanager
def running(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Served, Run]]:
    with served(create_app(settings)) as gateway:
        tenants = gateway.runtime.tenants
        tenant = gateway.run(tenants.service.create("acme"))
        monkeypatch.setenv("SEEDANCE_GATEWAY_URL", gateway.url)
        monkeypatch.setenv("SEEDANCE_GATEWAY_KEY", gateway.run(tenants.api_keys.create(tenant.id)).text)
        yield gateway, lambda *words: typer.testing.CliRunner().invoke(commands, words)


async def end(gateway: Served, name: str) -> None:
    store, now = gateway.runtime.stores.generations, datetime.now(UTC)
    g = await store.load(name)
    assert g is not None
    output = factories.output(draft_id="fal-draft")
    done = replace(g, status=Status.SUCCEEDED, output=output, actual_cost=1, finished_at=now)
    assert (await store.finish(done, factories.due(now), (), now=now)).won


def test_complete_creates_from_a_draft(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(settings, monkeypatch) as (gateway, run):
        words = ("generate", "-", "a cat", "--model", T2V, "--duration", "5", "--resolution", "480p", "--draft")
        draft: dict[str, Any] = json.loads(run(*words, "--detach", "--json").stdout)["generation"]
        assert draft["input"]["draft"] is True

        early = run("complete", draft["id"], "--timeout", "1")
        assert early.exit_code == 1
        gateway.run(end(gateway, draft["id"]))
        made = json.loads(run("complete", draft["id"], "--codec", "H264", "--detach", "--json").stdout)["generation"]
        assert (made["completes"], made["input"]["codec"]) == (draft["id"], "H264")

        refused = run("complete", made["id"], "--detach")
        assert (refused.exit_code, "not_a_draft" in refused.stderr) == (1, True)
        assert run("complete", "fal-draft").exit_code == 2
