"""The operations of the load: every one of a tenant and some of an operator. A third of them create a generation."""

import asyncio
import time
from pathlib import Path
from typing import Any, Final

import sandbox
from tests.support.soak.load import CALL_SECONDS, REMOTE_IMAGE, Calls, Operations

_FAL: Final = "/fal/queue/bytedance/seedance-2.0"
_PHOTO: Final = (Path(sandbox.__file__).parent / "samples" / "rocket.jpg").read_bytes()


async def _create(calls: Calls) -> None:
    await calls.create(calls.owner())


async def _create_twice(calls: Calls) -> None:
    await calls.create(calls.owner(), idempotency_key=f"key {next(calls.load.numbers)}")


async def _create_with_upload(calls: Calls) -> None:
    owner = calls.owner()
    upload = await calls.send(
        "POST", "/v1/uploads", 201, key=owner.key, data=_PHOTO, headers={"content-type": "image/jpeg"}
    )
    await calls.create(owner, image_url=upload["url"])


async def _create_and_cancel(calls: Calls) -> None:
    owner = calls.owner()
    name = await calls.create(owner)
    await asyncio.sleep(calls.load.rng.uniform(0, 1))
    await calls.send("POST", f"/v1/generations/{name}/cancel", 200, 202, 409, key=owner.key)


async def _read(calls: Calls) -> None:
    owner, name = calls.any_recent()
    await calls.send("GET", f"/v1/generations/{name}", key=owner.key)


async def _wait(calls: Calls) -> None:
    owner, name = calls.any_recent()
    await calls.send("GET", f"/v1/generations/{name}?wait=5", key=owner.key)


async def _list(calls: Calls) -> None:
    await calls.send("GET", "/v1/generations?limit=20", key=calls.owner().key)


async def _read_usage(calls: Calls) -> None:
    owner = calls.owner()
    for path in ("/v1/usage", "/v1/usage/end-users", "/v1/me", "/v1/deliveries?limit=20"):
        await calls.send("GET", path, key=owner.key)


async def _stream(calls: Calls) -> None:
    owner = calls.owner()
    name = await calls.create(owner)
    headers = {"authorization": f"Bearer {owner.key}"}
    async with calls.session.get(f"/v1/generations/{name}/events", headers=headers) as answer:
        leave_early = calls.load.rng.random() < 0.3  # a client that disconnects
        async for _ in answer.content:
            if leave_early:
                return


async def _fal_job(calls: Calls) -> None:
    """Submit as fal's clients do, poll the status, read the result."""
    owner, prompt = calls.owner(), calls.prompt()
    body = {"prompt": prompt, "image_url": REMOTE_IMAGE, "resolution": "480p", "duration": "4"}
    options: dict[str, Any] = {"key": owner.key, "scheme": "Key"}
    job = await calls.send("POST", f"{_FAL}/image-to-video", json=body, **options)
    name = str(job["request_id"])
    calls.load.accepted[name] = prompt
    calls.load.recent.append((owner, name))
    give_up = time.monotonic() + CALL_SECONDS
    while time.monotonic() < give_up:
        status = await calls.send("GET", f"{_FAL}/requests/{name}/status", 200, 202, **options)
        if status["status"] == "COMPLETED":
            await calls.send("GET", f"{_FAL}/requests/{name}", 200, 422, 500, 504, **options)
            return
        await asyncio.sleep(0.5)
    raise TimeoutError


async def _rotate_api_key(calls: Calls) -> None:
    owner = calls.owner()
    path = f"/admin/v1/tenants/{owner.id}/keys"
    key = await calls.send("POST", path, 201, json={"name": "short-lived"})
    await calls.send("GET", "/v1/me", key=key["key"])
    await calls.send("POST", f"{path}/{key['id']}/revoke")


async def _come_and_go(calls: Calls) -> None:
    """Create a tenant with an endpoint, send a test event, delete both."""
    owner = await calls.new_tenant()
    endpoint = await calls.send(
        "POST", "/v1/webhook-endpoints", 201, key=owner.key, json={"url": calls.load.webhook_url}
    )
    await calls.send("POST", f"/v1/webhook-endpoints/{endpoint['id']}/test", 200, 202, key=owner.key)
    for _ in range(60):
        with_pending = await calls.send("GET", "/v1/deliveries?status=pending", key=owner.key)
        if not with_pending["data"]:
            break
        await asyncio.sleep(0.5)
    await calls.send("DELETE", f"/v1/webhook-endpoints/{endpoint['id']}", 204, key=owner.key)
    await calls.send("DELETE", f"/admin/v1/tenants/{owner.id}", 204)


#: Each operation with its weight.
OPERATIONS: Final[Operations] = {
    "create": (_create, 14),
    "create twice with one key": (_create_twice, 6),
    "upload and create": (_create_with_upload, 3),
    "create and cancel": (_create_and_cancel, 4),
    "create and stream": (_stream, 4),
    "job of a fal client": (_fal_job, 6),
    "read": (_read, 25),
    "long poll": (_wait, 8),
    "list": (_list, 12),
    "usage, deliveries, limits": (_read_usage, 8),
    "API key for one call": (_rotate_api_key, 5),
    "tenant for one event": (_come_and_go, 2),
}
