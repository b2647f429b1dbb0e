"""Read one job with the ``openrouter`` package. Prints id, status and cost."""

import json
import sys

from openrouter import OpenRouter

base, key, job = sys.argv[1:]
with OpenRouter(api_key=key, server_url=f"{base}/openrouter/api/v1") as client:
    video = client.video_generation.get_generation(job_id=job)
usage = video.usage
sys.stdout.write(
    json.dumps([video.id, video.status, f"{usage.cost:.6f}" if usage and usage.cost is not None else None])
)
