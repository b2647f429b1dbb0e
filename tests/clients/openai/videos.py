"""A program with OpenAI's SDK: writes what it found as JSON.

Its variables are BASE, KEY, POOR_KEY, CUT_BASE, PHOTO and PHOTO_URL.
"""

import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")  # the SDK says that OpenAI's own service has ended

import openai  # noqa: E402

SMALL: dict[str, Any] = {"seconds": "4", "size": "854x480"}


def refused(client: openai.OpenAI, **fields: Any) -> list[Any]:
    try:
        client.videos.create(**{"prompt": "a rocket", **fields})
    except openai.APIStatusError as error:
        return [type(error).__name__, error.status_code, error.code, error.param]
    return ["accepted"]


def ended(client: openai.OpenAI, video_id: str) -> Any:
    while True:
        video = client.videos.retrieve(video_id)
        if video.status in ("completed", "failed"):
            return video
        time.sleep(0.2)


def main() -> None:
    client = openai.OpenAI(base_url=os.environ["BASE"], api_key=os.environ["KEY"])
    # The SDK takes only a file as ``input_reference``.
    by_url: Any = {"extra_body": {"input_reference": {"image_url": os.environ["PHOTO_URL"]}}, **SMALL}
    found: dict[str, Any] = {}

    with Path(os.environ["PHOTO"]).open("rb") as photo:
        video = client.videos.create_and_poll(prompt="The rocket lifts off.", input_reference=photo, **SMALL)
    content = client.videos.download_content(video.id)
    found["file"] = [video.status, video.seconds, video.size, video.progress, content.read()[4:8].decode()]

    extra = {"metadata": {"order": "1"}, "generate_audio": False, "end_user_id": "customer-7", **by_url["extra_body"]}
    other = client.videos.create(prompt="sandbox:no-video", extra_body=extra, **SMALL)
    found["url"] = [ended(client, other.id).status, other.id]
    found["list"] = [v.id for v in client.videos.list(limit=1)] == [other.id, video.id]
    found["ascending"] = [v.id for v in client.videos.list(limit=1, order="asc")] == [video.id, other.id]

    failed = client.videos.create_and_poll(prompt="sandbox:policy", **by_url)
    found["failed"] = [failed.status, failed.error.code if failed.error else None]
    running = client.videos.create(prompt="sandbox:hang", **by_url)
    found["deleted"] = client.videos.delete(running.id).deleted
    canceled = ended(client, running.id)
    found["canceled"] = [canceled.status, canceled.error.code if canceled.error else None]
    found["deleted twice"] = client.videos.delete(running.id).deleted

    poor = openai.OpenAI(base_url=os.environ["BASE"], api_key=os.environ["POOR_KEY"])
    found["budget"] = refused(poor, **by_url)
    found["model"] = refused(client, model="sora-2")
    found["no image"] = refused(client)
    found["seconds"] = refused(client, **{**by_url, "seconds": "99"})
    found["unknown"] = refused(client, extra_body={**by_url["extra_body"], "promt": "x"})
    found["key"] = refused(openai.OpenAI(base_url=os.environ["BASE"], api_key="sgk_wrong"))

    cut = openai.OpenAI(base_url=os.environ["CUT_BASE"], api_key=os.environ["KEY"])
    again = cut.videos.create(prompt="sandbox:no-video again", **by_url)
    found["cut"] = [again.id, len([v for v in client.videos.list() if v.prompt == "sandbox:no-video again"])]
    sys.stdout.write(json.dumps(found) + "\n")


main()
