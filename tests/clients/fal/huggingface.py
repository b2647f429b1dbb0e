"""Calls of the unmodified fal provider of ``huggingface_hub``. Prints one JSON object of findings.

Only its host changes. The model is mapped here, because the look-up would need the internet.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from huggingface_hub import InferenceClient
from huggingface_hub.hf_api import InferenceProviderMapping
from huggingface_hub.inference._providers import PROVIDERS
from huggingface_hub.inference._providers._common import HARDCODED_MODEL_INFERENCE_MAPPING

ENDPOINT = "bytedance/seedance-2.0/image-to-video"
PHOTO = Path(sys.argv[1])
QUICK: dict[str, Any] = {
    "prompt": "sandbox:no-video sandbox:seconds=0.2 hugging face",
    "seed": 3,
    "num_inference_steps": 20,
    "resolution": "480p",
    "duration": 4,
}


def video(image: Any, *, endpoint: str = ENDPOINT, **changes: Any) -> bytes:
    PROVIDERS["fal-ai"]["image-to-video"].base_url = os.environ["FAL_API_BASE"]
    HARDCODED_MODEL_INFERENCE_MAPPING["fal-ai"]["seedance"] = InferenceProviderMapping(
        provider="fal-ai", hf_model_id="seedance", providerId=endpoint, status="live", task="image-to-video"
    )
    client = InferenceClient(provider="fal-ai", api_key=os.environ["FAL_KEY"], model="seedance")
    made: bytes = client.image_to_video(image, **{**QUICK, **changes})
    return made


def failure(**changes: Any) -> str:
    try:
        video(PHOTO, **changes)
    except Exception as error:  # noqa: BLE001  (the provider raises KeyError for a result without a video)
        return f"{type(error).__name__}: {getattr(getattr(error, 'response', None), 'status_code', error)}"
    return ""


def kind(made: bytes) -> str:
    return made[4:8].decode("latin-1")


findings = {
    "path": kind(video(PHOTO)),
    "bytes": kind(video(PHOTO.read_bytes())),
    "prefixed": kind(video(PHOTO, endpoint=f"fal-ai/{ENDPOINT}")),
    "policy": failure(prompt="sandbox:policy sandbox:no-video sandbox:seconds=0.2 hugging face"),
    "other": failure(endpoint="fal-ai/flux/dev"),
}
sys.stdout.write("\n" + json.dumps(findings))
