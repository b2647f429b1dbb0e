"""``bulk``: cancel, dismiss and replay all that match on the command line."""

import asyncio

import pytest

from service.api.admin.bulk_schemas import BulkJobView
from service.cli.ops import bulk
from service.config.settings import Settings
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime, open_runtime
from tests.integration.cli.test_ops import Run, answer, errors, lines, run, tenant_id  # noqa: F401  (fixtures)
from tests.support.unconfirmed import created
from tests.support.waiting import process_due

WHY = ("--reason", "a flood")


@pytest.fixture(autouse=True)
def worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a worker sweep before the command follows the job."""
    follow = bulk._follow

    async def sweep_and_follow(runtime: Runtime, job_id: str) -> BulkJobView:
        await process_due(runtime, WorkQueue.SWEEP)
        return await follow(runtime, job_id)

    monkeypatch.setattr(bulk, "_follow", sweep_and_follow)


@pytest.fixture
def generations(settings: Settings, tenant_id: str) -> list[str]:  # noqa: F811
    async def create() -> list[str]:
        async with open_runtime(settings) as runtime:
            tenant = await runtime.tenants.service.get(tenant_id)
            return [(await created(runtime, tenant, "a rocket")).id for _ in range(2)]

    return asyncio.run(create())


def test_bulk_cancel_previews_and_follows_the_job(run: Run, tenant_id: str, generations: list[str]) -> None:  # noqa: F811
    wanted = ("--tenant", tenant_id, "--status", "queued")
    unasked = run("bulk", "cancel", *wanted, *WHY, exits=2)
    assert "2 generations match" in unasked.stderr
    assert "--yes" in unasked.stderr

    done = run("bulk", "cancel", *wanted, *WHY, "--yes")

    job = answer(done)
    assert (job["state"], job["matched"], job["done"], job["reason"]) == ("done", len(generations), 2, "a flood")
    assert answer(run("bulk", "show", job["id"])) == job
    assert [one["id"] for one in lines(run("bulk", "list"))] == [job["id"]]
    assert answer(run("bulk", "stop", job["id"], *WHY)) == job, "an ended job does not change"


def test_bulk_cancel_on_a_terminal_asks(
    run: Run,  # noqa: F811
    tenant_id: str,  # noqa: F811
    generations: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulk, "_is_interactive", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: True)
    assert answer(run("bulk", "cancel", "--id", generations[0], *WHY))["done"] == 1


def test_bulk_job_over_nothing_does_not_start(run: Run, tenant_id: str) -> None:  # noqa: F811
    nothing = run("bulk", "replay", "--tenant", tenant_id, *WHY, "--yes")

    assert "0 deliveries match" in nothing.stderr
    assert lines(run("bulk", "list")) == []


def test_bulk_dismiss_fails_unconfirmed_submits(
    run: Run,  # noqa: F811
    tenant_id: str,  # noqa: F811
    settings: Settings,
) -> None:
    async def lose() -> None:
        async with open_runtime(settings) as runtime:
            tenant = await runtime.tenants.service.get(tenant_id)
            g = await created(runtime, tenant, "a rocket")
            for move in (lambda g: g.submitting(runtime.clock()), lambda g: g.unconfirmed()):
                assert await runtime.transitions.apply(g.id, move) is not None

    asyncio.run(lose())
    early = run("bulk", "dismiss", "--submitted-before", "2026-01-31T09:30:00Z", *WHY, "--yes")
    assert "0 generations match" in early.stderr
    done = run("bulk", "dismiss", "--tenant", tenant_id, *WHY, "--yes")

    assert "fal may bill" in done.stderr
    assert (answer(done)["kind"], answer(done)["done"]) == ("dismiss", 1)


@pytest.mark.parametrize("options", [(), ("--tenant", "ten_1", "--status", "dead"), ("--id", "gen_1")])
def test_bulk_cancel_refuses_wrong_filters(run: Run, options: tuple[str, ...]) -> None:  # noqa: F811
    run("bulk", "cancel", *options, *WHY, "--yes", exits=2)
