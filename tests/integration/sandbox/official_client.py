"""Calls of the unmodified official Python client. Run as a script, because the client reads its hosts at import.

Prints one JSON object of findings.
"""

import asyncio
import json
import sys
from typing import Any

import fal_client
from PIL import Image

ENDPOINT = "bytedance/seedance-2.0/image-to-video"
QUICK = {"prompt": "sandbox:no-video a rocket", "image_url": "https://v3b.fal.media/files/b/x/rocket.jpg", "seed": 3}
CONTENT = bytes(range(256)) * 100
LOGGING = {**QUICK, "prompt": "sandbox:no-video sandbox:logs sandbox:seconds=1.2"}


def failure(function: Any, *arguments: Any) -> dict[str, Any]:
    try:
        function(*arguments)
    except fal_client.FalClientHTTPError as error:
        return {"code": error.status_code, "message": str(error), "type": error.error_type}
    return {}


def uploaded(base: str) -> dict[str, Any]:
    """The upload hosts cannot be set by environment, so the two constants of the client are changed."""
    library: Any = fal_client.client
    library.REST_URL, library.CDN_URL = f"{base}/rest", f"{base}/cdn"
    client = fal_client.SyncClient()
    image = client.upload_image(Image.new("RGB", (640, 360)))
    seen = client.run(ENDPOINT, arguments={**QUICK, "prompt": "rendered", "image_url": image, "resolution": "480p"})
    whole = client.upload(CONTENT, "application/octet-stream", "whole.bin")
    library.MULTIPART_THRESHOLD = library.MULTIPART_CHUNK_SIZE = 10_000
    parts = client.upload(CONTENT, "application/octet-stream", "parts.bin")
    return {"whole": whole, "parts": parts, "seen": seen}


def synchronously() -> dict[str, Any]:
    handle = fal_client.submit(ENDPOINT, arguments=QUICK, webhook_url=None, priority="low", start_timeout=30)
    output = handle.get()
    updates: list[Any] = []
    subscribed = fal_client.subscribe(ENDPOINT, arguments=LOGGING, with_logs=True, on_queue_update=updates.append)
    doomed = fal_client.submit(ENDPOINT, arguments={**QUICK, "prompt": "sandbox:hang"})
    doomed.cancel()
    refused = fal_client.submit(ENDPOINT, arguments={**QUICK, "prompt": "sandbox:policy"})
    return {
        "output": output,
        "same_address": handle.status_url == fal_client.SyncClient().get_handle(ENDPOINT, handle.request_id).status_url,
        "by_id": fal_client.result(ENDPOINT, handle.request_id),
        "status": type(fal_client.status(ENDPOINT, handle.request_id, with_logs=True)).__name__,
        "subscribed": subscribed,
        "updates": sorted({type(update).__name__ for update in updates}),
        "logs": sorted({line["message"] for update in updates for line in getattr(update, "logs", None) or []}),
        "cancelled": failure(doomed.get),
        "refused": failure(refused.get),
        "retried": fal_client.submit(ENDPOINT, arguments={**QUICK, "prompt": "sandbox:no-video sandbox:429"}).get(),
        "run": fal_client.run(ENDPOINT, arguments=QUICK),
        "stream": list(fal_client.stream(ENDPOINT, arguments=QUICK)),
    }


async def asynchronously() -> dict[str, Any]:
    client = fal_client.AsyncClient()
    handle = await client.submit(ENDPOINT, arguments=QUICK)
    events = [type(event).__name__ async for event in handle.iter_events(with_logs=True)]
    return {
        "last": events[-1],
        "output": await handle.get(),
        "subscribed": await client.subscribe(ENDPOINT, arguments=QUICK),
        "run": await client.run(ENDPOINT, arguments=QUICK),
    }


if __name__ == "__main__":
    findings = {
        "sync": synchronously(),
        "async": asyncio.run(asynchronously()),
        "uploaded": uploaded(sys.argv[1]),
    }
    sys.stdout.write(json.dumps(findings))
