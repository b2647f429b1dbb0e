"""Read one job with the ``openai`` package. Prints id, status and cost."""

import json
import sys
import warnings

warnings.simplefilter("ignore")  # the SDK says that OpenAI's own service has ended

import openai  # noqa: E402

base, key, job = sys.argv[1:]
video = openai.OpenAI(base_url=f"{base}/openai/v1", api_key=key).videos.retrieve(job)
extra = video.model_extra or {}
sys.stdout.write(json.dumps([video.id, video.status, extra["cost"]["actual"]]))
