"""Read one job with ``fal-client``, whose host and key are in the environment. Prints id, status and video URL."""

import json
import sys

import fal_client

job = sys.argv[1]
status = type(fal_client.status("bytedance/seedance-2.0", job)).__name__
video = fal_client.result("bytedance/seedance-2.0", job)["video"]
sys.stdout.write(json.dumps([job, status, video["url"]]))
