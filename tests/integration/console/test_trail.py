"""Acts of the console are in the audit trail, also when they are refused."""

import pytest
from fastapi import FastAPI

from service.domain.actor import ActorKind
from service.domain.trail import Entry, Outcome
from tests.support.console import Browser, session_routes
from tests.support.factories import ADMIN_TOKEN


async def entries(app: FastAPI) -> list[Entry]:
    """Return the entries of the trail, the oldest first."""
    return [link.load() async for step in app.state.runtime.stores.trail_reader.links() for link in step]


async def test_login_of_an_operator_is_recorded(app: FastAPI, browser: Browser) -> None:
    await browser.log_in(ADMIN_TOKEN)

    (entry,) = await entries(app)
    assert (entry.action, entry.outcome, entry.actor.kind) == ("log_in", Outcome.DONE, ActorKind.BREAK_GLASS)
    assert entry.actor.address == "127.0.0.1"


@pytest.mark.parametrize(("reason", "outcome"), [("a drill", Outcome.DONE), ("", Outcome.REFUSED)])
async def test_action_is_recorded_with_reason_and_outcome(
    app: FastAPI, admin: Browser, reason: str, outcome: Outcome
) -> None:
    await admin.post("/console/oncall/pause", reason=reason)

    entry = (await entries(app))[-1]
    assert (entry.action, entry.outcome, entry.reason) == ("pause_dispatch", outcome, reason or None)
    assert (entry.actor.name, entry.actor.address) == ("tester", "127.0.0.1")
    assert entry.actor.request_id


async def test_action_refused_by_right_is_recorded(app: FastAPI, customer: Browser) -> None:
    await customer.post("/console/oncall/pause", reason="not mine")

    (entry,) = await entries(app)
    assert (entry.action, entry.outcome, entry.error) == ("pause_dispatch", Outcome.REFUSED, "forbidden")


def test_every_action_is_recorded_and_no_preview(app: FastAPI) -> None:
    posts = [route for route in session_routes(app) if route.method == "POST" and route.needs is not None]

    assert posts
    assert all(route.is_recorded is not route.path.endswith("/preview") for route in posts)
