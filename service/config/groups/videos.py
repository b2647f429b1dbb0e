"""Settings of the store for copies of videos."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, Field

from service.config.types import Seconds


class VideoSettings(BaseModel):
    media_url: Annotated[
        str | None,
        Field(
            pattern=r"^(s3|gs)://[^/]+(/.*)?$|^file:///.+$",
            description="Store for copies of videos: `s3://bucket/prefix`, `gs://…`, `file:///…`; unset: videos are "
            "not copied, and results have fal's URLs.",
        ),
    ] = None
    media_timeout: Annotated[
        Seconds,
        Field(
            gt=timedelta(0),
            le=timedelta(seconds=100),
            description="Time limit of one try to copy a video, 100 at most.",
        ),
    ] = timedelta(seconds=90)
    media_redirect: Annotated[
        bool,
        Field(
            description="Answer `…/video` with a redirect to a signed URL, where the store can sign; otherwise, or "
            "with `false`, the response is the video."
        ),
    ] = True
