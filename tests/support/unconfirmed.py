"""Steps of tests of unconfirmed submits: create one, let time pass, read the results."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx

from service.domain.generation import Generation
from service.domain.status import Status
from service.domain.tenant import Tenant
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from service.store import keys
from tests.support import factories
from tests.support.factories import Clock
from tests.support.waiting import Patience, process_due, stored

LOST = "sandbox:lost-answer sandbox:no-video"
NEVER_TAKEN = "sandbox:500"


async def created(runtime: Runtime, owner: Tenant, prompt: str = LOST, **changes: Any) -> Generation:
    fields = {"prompt": prompt, "image_url": "https://v3b.fal.media/a.jpg", "resolution": "480p", "duration": 5}
    request = factories.create_request(**{**fields, **changes})
    return (await runtime.generations.creator.create(owner, request)).generation


async def unconfirmed(runtime: Runtime, owner: Tenant, prompt: str = LOST, **changes: Any) -> Generation:
    """Return a generation that was sent to the sandbox, with a lost response."""
    g = await created(runtime, owner, prompt, **changes)
    await process_due(runtime, WorkQueue.DISPATCH)
    g = await stored(runtime, g)
    assert g.status is Status.UNCONFIRMED
    return g


async def given_up_as_lost(runtime: Runtime, owner: Tenant, clock: Clock, **changes: Any) -> Generation:
    """Return a generation whose worker died during the submit. No request reaches the sandbox."""
    g = await created(runtime, owner, **changes)
    for move in (lambda g: g.submitting(clock()), lambda g: g.unconfirmed()):
        moved = await runtime.transitions.apply(g.id, move)
        assert moved is not None
        g = moved
    return g


async def oracle(sandbox_url: str) -> list[dict[str, Any]]:
    async with httpx.AsyncClient(base_url=sandbox_url) as fal:
        found: list[dict[str, Any]] = (await fal.get("/_sandbox/requests")).json()
        return found


async def finished(sandbox_url: str, count: int = 1) -> list[dict[str, Any]]:
    """Wait until the sandbox has completed ``count`` requests; return all that it accepted."""
    async with asyncio.timeout(60):
        while True:
            found = await oracle(sandbox_url)
            if sum(job["status"] == "COMPLETED" for job in found) >= count:
                return found
            await asyncio.sleep(0.01)  # the sandbox has a clock of its own


async def polled_to_the_end(runtime: Runtime, clock: Clock, g: Generation) -> Generation:
    patience = Patience()
    async with asyncio.timeout(60):
        while not (now := await stored(runtime, g)).is_terminal:
            await process_due(runtime, WorkQueue.POLL)
            clock.advance(timedelta(seconds=20))
            await patience.pause()
        return now


async def reasons(runtime: Runtime, g: Generation) -> list[str]:
    """Return the reasons of its resolutions, from the ledger."""
    entries = await runtime.redis.execute("XRANGE", keys.LEDGER, "-", "+")
    rows = [dict(zip(fields[::2], fields[1::2], strict=True)) for _, fields in entries]
    return [row[b"why"].decode() for row in rows if row[b"k"] == b"resolve" and row[b"g"] == g.id.encode()]
