"""Steps of webhook tests: create endpoints, cause events, process deliveries."""

from datetime import datetime
from typing import Any

import httpx

from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from tests.support import factories
from tests.support.factories import Clock

ENDPOINTS = "/v1/webhook-endpoints"
DELIVERIES = "/v1/deliveries"


async def endpoint(api: httpx.AsyncClient, url: str, **body: Any) -> dict[str, Any]:
    """Create an endpoint; return it with its secret."""
    answer = await api.post(ENDPOINTS, json={"url": url, **body})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def changed(api: httpx.AsyncClient, made: dict[str, Any], **body: Any) -> dict[str, Any]:
    answer = await api.put(f"{ENDPOINTS}/{made['id']}", json={"url": made["url"], **body})
    assert answer.status_code == 200, answer.text
    after: dict[str, Any] = answer.json()
    return after


async def read(api: httpx.AsyncClient, made: dict[str, Any]) -> dict[str, Any]:
    answer = await api.get(f"{ENDPOINTS}/{made['id']}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def ended(api: httpx.AsyncClient, **body: Any) -> str:
    """Create and cancel a generation, which causes an event; return its id."""
    created = (await api.post("/v1/generations", json=factories.create_body(**body))).json()
    answer = await api.post(f"/v1/generations/{created['id']}/cancel")
    assert answer.status_code == 200, answer.text
    return str(created["id"])


async def deliveries(api: httpx.AsyncClient, **filters: Any) -> list[dict[str, Any]]:
    """Return all matching deliveries, of all pages, newest first."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        answer = await api.get(DELIVERIES, params={**filters, **({} if cursor is None else {"cursor": cursor})})
        assert answer.status_code == 200, answer.text
        found += answer.json()["data"]
        if (cursor := answer.json()["next_cursor"]) is None:
            return found


async def drained(runtime: Runtime) -> None:
    """Attempt all due deliveries."""
    await runtime.queues.run(WorkQueue.DELIVER)
    await runtime.queues.consumers[WorkQueue.DELIVER].idle()


async def drained_until(runtime: Runtime, clock: Clock, moment: datetime) -> None:
    """Attempts as they fall due, until then."""
    await drained(runtime)
    while (due := await _next_due(runtime)) is not None and due <= moment:
        clock.now = max(clock.now, due)
        await drained(runtime)
    clock.now = max(clock.now, moment)


async def _next_due(runtime: Runtime) -> datetime | None:
    return (await runtime.stores.due.depths())[WorkQueue.DELIVER].oldest
