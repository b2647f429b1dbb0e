"""Calls of the unmodified official Python client. Run as a script, because the client reads its hosts at import.

Prints one JSON object of findings.
"""

import asyncio
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import fal_client
import fal_client.client
from PIL import Image

ENDPOINT = "bytedance/seedance-2.0/image-to-video"
QUICK = {
    "prompt": "sandbox:no-video sandbox:seconds=0.2 python",
    "image_url": "https://v3b.fal.media/files/b/x/rocket.jpg",
    "resolution": "480p",
    "duration": "4",
    "seed": 3,
}
LOGGING = {**QUICK, "prompt": "sandbox:no-video sandbox:logs sandbox:seconds=2 python"}
HANGING = {**QUICK, "prompt": "sandbox:hang python"}


def failure(function: Any, *arguments: Any) -> dict[str, Any]:
    try:
        function(*arguments)
    except fal_client.FalClientHTTPError as error:
        return {"code": error.status_code, "message": str(error), "type": error.error_type}
    return {}


def refused(arguments: dict[str, Any]) -> dict[str, Any]:
    return failure(lambda: fal_client.submit(ENDPOINT, arguments=arguments).get())


def encoded(photo: str) -> str:
    """Return the id of a request with a file whose name has no suffix: its data URI has no image type."""
    with tempfile.TemporaryDirectory() as folder:
        nameless = Path(folder) / "photo"
        shutil.copy(photo, nameless)
        return fal_client.submit(
            ENDPOINT, arguments={**QUICK, "image_url": fal_client.encode_file(nameless)}
        ).request_id


#: The client begins a multipart upload above 100 MB.
LARGE = bytes(100 * 1024 * 1024 + 1)


def uploaded(photo: Path) -> dict[str, Any]:
    image = Image.open(photo)
    url = fal_client.upload_image(image)
    return {
        "file": fal_client.upload_file(photo),
        "data": fal_client.upload(photo.read_bytes(), "image/jpg", "a.jpg"),
        "nameless": fal_client.upload(photo.read_bytes(), "application/octet-stream"),
        "image": url,
        "png": fal_client.upload_image(image, format="png"),
        "other repository": fal_client.upload_file(photo, repository="fal"),
        "lifecycle": fal_client.upload_file(photo, lifecycle=fal_client.client.StorageSettings(expires_in="1d")),
        "large": failure(fal_client.upload, LARGE, "image/jpeg"),
        "no image": failure(fal_client.upload, b"GIF89a, no image", "image/jpeg"),
        "used": fal_client.submit(ENDPOINT, arguments={**QUICK, "image_url": url}).get()["seed"],
    }


async def uploaded_asynchronously(photo: Path) -> dict[str, Any]:
    client = fal_client.AsyncClient()
    found: dict[str, Any] = {
        "file": await client.upload_file(photo),
        "data": await client.upload(await asyncio.to_thread(photo.read_bytes), "image/jpeg"),
        "image": await client.upload_image(Image.open(photo)),
        "other repository": await client.upload_file(photo, repository="fal"),
    }
    try:
        await client.upload(LARGE, "image/jpeg")
    except fal_client.FalClientHTTPError as error:
        found["large"] = {"code": error.status_code}
    return found


def synchronously() -> dict[str, Any]:
    handle = fal_client.submit(ENDPOINT, arguments=QUICK, priority="low", start_timeout=600)
    first = handle.status()
    output = handle.get()
    updates: list[Any] = []
    subscribed = fal_client.subscribe(ENDPOINT, arguments=LOGGING, with_logs=True, on_queue_update=updates.append)
    doomed = fal_client.submit(ENDPOINT, arguments=HANGING)
    early = failure(fal_client.result, ENDPOINT, "gen_00000000000000000000000000")
    doomed.cancel()
    return {
        "output": output,
        "first": type(first).__name__,
        "request_id": handle.request_id,
        "same_address": handle.status_url == fal_client.SyncClient().get_handle(ENDPOINT, handle.request_id).status_url,
        "status_url": handle.status_url,
        "by_id": fal_client.result(ENDPOINT, handle.request_id),
        "status": type(fal_client.status(ENDPOINT, handle.request_id, with_logs=True)).__name__,
        "subscribed": subscribed,
        "updates": sorted({type(update).__name__ for update in updates}),
        "logs": sorted({line["message"] for update in updates for line in getattr(update, "logs", None) or []}),
        "unknown": early,
        "cancelled": failure(doomed.get),
        "policy": refused({**QUICK, "prompt": "sandbox:policy sandbox:seconds=0.2 python"}),
        "invalid": refused({"prompt": "no picture"}),
        "run": fal_client.run(ENDPOINT, arguments=QUICK),
        "stream": list(fal_client.stream(ENDPOINT, arguments=QUICK)),
        "encoded": encoded(sys.argv[1]),
    }


async def asynchronously() -> dict[str, Any]:
    client = fal_client.AsyncClient()
    handle = await client.submit(ENDPOINT, arguments=QUICK)
    events = [type(event).__name__ async for event in handle.iter_events(with_logs=True)]
    doomed = await client.submit(ENDPOINT, arguments=HANGING)
    await doomed.cancel()
    try:
        await doomed.get()
        cancelled = 0
    except fal_client.FalClientHTTPError as error:
        cancelled = error.status_code
    return {
        "last": events[-1],
        "cancelled": cancelled,
        "output": await handle.get(),
        "subscribed": await client.subscribe(ENDPOINT, arguments=QUICK),
        "run": await client.run(ENDPOINT, arguments=QUICK),
        "stream": [event async for event in client.stream(ENDPOINT, arguments=QUICK)],
    }


if __name__ == "__main__":
    # The client reads no variable for these two.
    fal_client.client.REST_URL = fal_client.client.CDN_URL = os.environ["FAL_REST_URL"]
    findings = {
        "sync": synchronously(),
        "async": asyncio.run(asynchronously()),
        "uploads": uploaded(Path(sys.argv[1])),
        "async uploads": asyncio.run(uploaded_asynchronously(Path(sys.argv[1]))),
    }
    sys.stdout.write(json.dumps(findings))
