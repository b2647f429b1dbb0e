"""Calls of the unmodified ``fal-client`` for every model. Prints one JSON object of findings."""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import fal_client
import httpx

MODELS = json.loads(sys.argv[1])
POOR_KEY = sys.argv[2]
IMAGE = "https://v3b.fal.media/files/b/x/rocket.jpg"
TEXT = "sandbox:no-video sandbox:seconds=0.2 the client in Python"
FIELDS: dict[str, dict[str, Any]] = {
    "text-to-video": {},
    "image-to-video": {"image_url": IMAGE},
    "reference-to-video": {"image_urls": [IMAGE]},
}


def body(model: Any, prompt: str = TEXT) -> dict[str, Any]:
    return {"prompt": prompt, "resolution": "480p", "duration": "4", **FIELDS[model["kind"]]}


def failure(function: Any, *arguments: Any) -> int:
    try:
        function(*arguments)
    except fal_client.FalClientHTTPError as error:
        return error.status_code
    return 200


def downloaded(model: Any) -> list[Any]:
    handle = fal_client.submit(model["id"], body(model))
    video = httpx.get(handle.get()["video"]["url"], trust_env=False).content
    return [model["id"], video[4:8].decode(), handle.request_id.startswith("gen_")]


def ended(handle: Any) -> Any:
    while not isinstance(handle.status(), fal_client.Completed):
        time.sleep(0.2)
    return handle


with ThreadPoolExecutor(4) as pool:
    videos = list(pool.map(downloaded, MODELS))
first = MODELS[0]
hung = fal_client.submit(first["id"], body(first, "sandbox:hang the client in Python"))
hung.cancel()
refused = fal_client.submit(first["id"], body(first, f"sandbox:policy {TEXT}"))
poor = fal_client.SyncClient(key=POOR_KEY)
findings = {
    "videos": videos,
    "canceled": failure(ended(hung).get),
    "failed": failure(ended(refused).get),
    "budget": failure(poor.submit, first["id"], body(first)),
}
sys.stdout.write(json.dumps(findings))
