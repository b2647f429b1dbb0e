"""Uses the package that openapi-python-client generated. Arguments: URL, API key, picture. Prints JSON."""

import io
import json
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from generated import AuthenticatedClient
from generated.api.generations import (
    cancel_generation,
    create_generation,
    follow_generation,
    list_generations,
    read_generation,
)
from generated.api.uploads import upload_image
from generated.api.usage import read_usage
from generated.api.webhooks import create_webhook_endpoint
from generated.models import (
    CreateGeneration,
    EndpointBody,
    GenerationStatus,
    VideoDuration,
    VideoResolution,
)
from generated.types import File

url, key, picture = sys.argv[1:]
client = AuthenticatedClient(base_url=url, token=key)
found: dict[str, Any] = {}
SECOND = timedelta(seconds=1)


def wanted(prompt: str, **changes: Any) -> Any:
    return CreateGeneration(
        **{
            "prompt": prompt,
            "image_url": image.url,
            "resolution": VideoResolution("480p"),
            "duration": VideoDuration("4"),
            **changes,
        }
    )


def name(answer: Any) -> list[Any]:
    """The type of the parsed body, and what says what it is."""
    parsed = answer.parsed
    return [int(answer.status_code), type(parsed).__name__, getattr(parsed, "code", None)]


image = upload_image.sync(client=client, body=File(payload=io.BytesIO(Path(picture).read_bytes())))
found["upload"] = [image.content_type, image.width]

created = create_generation.sync(client=client, body=wanted("sandbox:no-video"), idempotency_key="generated-client")
found["create"] = [created.status.value, created.created_at.tzinfo is not None]

give_up = time.monotonic() + 240
while (read := read_generation.sync(created.id, client=client, wait=5)).finished_at is None:
    assert time.monotonic() < give_up
found["read"] = [read.status.value, read.output.video.url.startswith("http"), read.finished_at > read.created_at]

page = list_generations.sync(
    client=client, status=GenerationStatus.SUCCEEDED, created_after=created.created_at - SECOND
)
found["list"] = [g.id for g in page.data] == [created.id]

events = follow_generation.sync(created.id, client=client)
found["events"] = [line for line in events.splitlines() if line.startswith("event: ")]

endless = create_generation.sync(client=client, body=wanted("sandbox:hang"))
found["cancel"] = name(cancel_generation.sync_detailed(endless.id, client=client))

endpoint = create_webhook_endpoint.sync(client=client, body=EndpointBody(url="http://127.0.0.1:9000/hook"))
found["endpoint"] = [endpoint.enabled, endpoint.secret.startswith("whsec_"), endpoint.created_at.year > 2000]

usage = read_usage.sync(client=client)
found["usage"] = [usage.currency, usage.days[-1].date == usage.end]

found["402"] = name(create_generation.sync_detailed(client=client, body=wanted("too dear", max_cost_usd="0.01")))
refused = create_generation.sync(client=client, body=wanted("too dear", max_cost_usd="0.01"))
found["402"] += [refused.scope.value, refused.limit, refused.status]
found["404"] = name(read_generation.sync_detailed("gen_unknown", client=client))
found["409"] = name(cancel_generation.sync_detailed(created.id, client=client))
invalid = create_generation.sync_detailed(client=client, body=wanted("", priority=10))
found["422"] = [*name(invalid), sorted(fault.pointer for fault in invalid.parsed.errors)]

sys.stdout.write(json.dumps(found))
