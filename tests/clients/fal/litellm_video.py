"""Calls of LiteLLM's unmodified fal video provider. Prints one JSON object of findings."""

import asyncio
import json
import os
import sys
import time
from typing import Any

import litellm

litellm.telemetry = False
MODEL = "fal_ai/bytedance/seedance-2.0/image-to-video"
HOST = {"api_base": os.environ["FAL_API_BASE"], "api_key": os.environ["FAL_AI_API_KEY"]}
QUICK: dict[str, Any] = {
    "model": MODEL,
    "prompt": "sandbox:seconds=0.2 litellm",
    "input_reference": "https://v3b.fal.media/files/b/x/rocket.jpg",
    "seconds": "4",
    "size": "480p",
    "user": "customer-7",
    **HOST,
}


def ended(video_id: str) -> Any:
    while (video := litellm.video_status(video_id=video_id, **HOST)).status in ("queued", "in_progress"):
        time.sleep(0.2)
    return video


def refused(**changes: Any) -> str:
    try:
        video = litellm.video_generation(**{**QUICK, **changes})
    except Exception as error:  # noqa: BLE001  (its exceptions have no common base)
        return f"{getattr(error, 'status_code', 0)}: {error}"
    over = ended(video.id)
    return f"{over.status}: {over.error}"


async def asynchronously() -> dict[str, Any]:
    video = await litellm.avideo_generation(**{**QUICK, "size": "854x480", "generate_audio": False})
    await asyncio.to_thread(ended, video.id)
    seen = await litellm.avideo_status(video_id=video.id, **HOST)
    content = await litellm.avideo_content(video_id=video.id, **HOST)
    return {"status": seen.status, "bytes": content[4:8].decode("latin-1")}


created = litellm.video_generation(**QUICK)
over = ended(created.id)
findings = {
    "created": created.status,
    "ended": over.status,
    "bytes": litellm.video_content(video_id=created.id, **HOST)[4:8].decode("latin-1"),
    "async": asyncio.run(asynchronously()),
    "policy": refused(prompt="sandbox:policy sandbox:no-video sandbox:seconds=0.2 litellm"),
    "invalid": refused(seconds="99"),
    "key": refused(api_key="sgk_wrong"),
}
sys.stdout.write("\n" + json.dumps(findings))
