"""Calls of the unmodified ``fal`` package. Prints one JSON object of findings."""

import json
import sys
import time
from typing import Any

import fal.apps
import httpx

ENDPOINT = "bytedance/seedance-2.0/image-to-video"
QUICK = {
    "prompt": "sandbox:no-video sandbox:seconds=0.2 fal package",
    "image_url": "https://v3b.fal.media/files/b/x/rocket.jpg",
    "resolution": "480p",
    "duration": "4",
    "seed": 3,
}


def failure(function: Any, *arguments: Any) -> int:
    try:
        function(*arguments)
    except httpx.HTTPStatusError as error:
        return error.response.status_code
    return 200


handle = fal.apps.submit(ENDPOINT, QUICK)
events = [type(event).__name__ for event in handle.iter_events(logs=True)]
doomed = fal.apps.submit(ENDPOINT, {**QUICK, "prompt": "sandbox:hang fal package"})
early = failure(doomed.fetch_result)
doomed.cancel()
while type(doomed.status()).__name__ != "Completed":
    time.sleep(0.2)
refused = fal.apps.submit(ENDPOINT, {**QUICK, "prompt": "sandbox:policy sandbox:seconds=0.2 fal package"})
findings = {
    "request_id": handle.request_id,
    "events": sorted(set(events)),
    "status": type(handle.status(logs=True)).__name__,
    "output": handle.fetch_result(),
    "run": fal.apps.run(ENDPOINT, {**QUICK, "seed": "3", "colour": "red"}),
    "path": fal.apps.run("bytedance/seedance-2.0", QUICK, path="/image-to-video"),
    "prefixed": fal.apps.run(f"fal-ai/{ENDPOINT}", QUICK),
    "stream": [line if isinstance(line, str) else line.decode() for line in fal.apps.stream(ENDPOINT, QUICK)],
    "early": early,
    "cancelled": failure(doomed.get),
    "policy": failure(refused.get),
    "invalid": failure(fal.apps.submit, ENDPOINT, {"prompt": "no picture"}),
    "other": failure(fal.apps.submit, "fal-ai/flux/dev", {"prompt": "another model"}),
}
sys.stdout.write(json.dumps(findings))
