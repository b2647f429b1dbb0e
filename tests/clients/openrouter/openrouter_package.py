"""Calls of the unmodified ``openrouter`` package. Prints one JSON object of findings."""

import json
import os
import sys
import time
from typing import Any

from openrouter import OpenRouter, errors

MODEL = "bytedance/seedance-2.0"
FRAMES: Any = [
    {
        "type": "image_url",
        "image_url": {"url": "https://v3b.fal.media/files/b/x/rocket.jpg"},
        "frame_type": "first_frame",
    }
]
SERVER = os.environ["OPENROUTER_SERVER"]
ENDED = ("completed", "failed", "cancelled", "expired")


def opened(key: str) -> OpenRouter:
    return OpenRouter(api_key=key, server_url=SERVER)


client = opened(os.environ["OPENROUTER_API_KEY"])


def generate(prompt: str, to: OpenRouter = client, **changes: Any) -> Any:
    options: dict[str, Any] = {"model": MODEL, "frame_images": FRAMES, "duration": 4, "resolution": "480p", **changes}
    return to.video_generation.generate(prompt=f"{prompt} openrouter package", **options)


def ended(job_id: str) -> Any:
    while True:
        job = client.video_generation.get_generation(job_id=job_id)
        if job.status in ENDED:
            return job
        time.sleep(0.2)


def refusal(prompt: str = "refused", to: OpenRouter = client, **changes: Any) -> list[Any]:
    try:
        generate(prompt, to, **changes)
    except errors.OpenRouterError as error:
        data: Any = error.data
        return [type(error).__name__, data.error.code, data.error.message]
    return []


first = generate("sandbox:seconds=0.2", provider={"options": {"byteplus": {"max_cost_usd": "1.00"}}}, user="u1")
completed = ended(first.id)
content = client.video_generation.get_video_content(job_id=first.id).read()
hanging = generate("sandbox:hang")
if "--created" in sys.argv:
    sys.stdout.write(f"{hanging.id}\n")
    sys.stdout.flush()
    sys.stdin.readline()  # the test cancels it on /v1
failed = ended(generate("sandbox:policy sandbox:seconds=0.2").id)
findings = {
    "first": [first.id, first.polling_url, first.status],
    "completed": [completed.status, completed.unsigned_urls, completed.usage.is_byok],
    "cost": completed.usage.cost,
    "bytes": content[4:8].decode(),
    "failed": [failed.status, failed.error, failed.usage.cost],
    "cancelled": ended(hanging.id).status,
    "budget": refusal(to=opened(os.environ["POOR_KEY"])),
    "ceiling": refusal(provider={"options": {"byteplus": {"max_cost_usd": "0.01"}}}),
    "invalid": refusal(duration=99),
    "model": refusal(model="google/veo-3.1"),
    "key": refusal(to=opened("sgk_wrong")),
    "models": [
        [model.id, model.supported_durations[0], model.supported_resolutions[0], model.pricing_skus["video_tokens"]]
        for model in client.video_generation.list_videos_models().data
    ],
}
sys.stdout.write(json.dumps(findings))
