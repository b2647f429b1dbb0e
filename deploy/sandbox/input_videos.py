"""Seconds of input videos, which are billed. Files elsewhere are not fetched: the URL can say their seconds.

`https://example.com/clip.mp4?sandbox-seconds=7.5` has 7.5 seconds. Without that, a file of the sandbox's own storage
has its real seconds, and any other 3: the most videos of an endpoint then stay within its limit.
"""

import re
from collections.abc import Iterable
from decimal import Decimal

import av

from sandbox.files import Files
from sandbox.outcome import Outcome, detail, model_error

UNKNOWN_SECONDS = Decimal(3)
SAID = re.compile(r"[?&#]sandbox-seconds=(\d{1,4}(?:\.\d{1,6})?)(?![\d.])")


class InputVideos:
    def __init__(self, files: Files) -> None:
        self._files = files

    def seconds(self, urls: Iterable[str], base: str) -> Decimal:
        return sum((self._seconds(url, base) for url in urls), Decimal(0))

    def _seconds(self, url: str, base: str) -> Decimal:
        if said := SAID.search(url):
            return Decimal(said[1])
        own = f"{base}/cdn/files/"
        path = self._files.find(url.removeprefix(own)) if url.startswith(own) else None
        if path is None:
            return UNKNOWN_SECONDS
        try:
            with av.open(str(path)) as container:
                return Decimal(container.duration or 0) / av.time_base
        except av.FFmpegError:
            return UNKNOWN_SECONDS


def too_long(seconds: Decimal, most: Decimal) -> Outcome:
    text = f"The videos have {seconds:f} seconds in total, at most {most:f} are allowed"
    ctx = {"max_duration": float(most), "provided_duration": float(seconds)}
    return model_error(detail("video_duration_too_long", text, ("body", "video_urls"), ctx=ctx)).at_once()
