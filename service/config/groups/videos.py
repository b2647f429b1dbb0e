"""Settings of the store for copies of videos."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, Field

from service.config.types import ProxyUrl, Seconds


class VideoSettings(BaseModel):
    media_url: Annotated[
        str | None,
        Field(
            pattern=r"^(s3|gs)://[^/]+(/.*)?$|^file:///.+$",
            description="Store for copies of videos: `s3://bucket/prefix`, `gs://…`, `file:///…`; unset: videos are "
            "not copied, and results have fal's URLs.",
        ),
    ] = None
    media_proxy_url: Annotated[
        ProxyUrl | None,
        Field(
            repr=False,
            description="HTTP proxy of the connections to the store of `GATEWAY_MEDIA_URL`, "
            "`http://user:password@host:port`; credential services of clouds are connected directly. Unset: what "
            "`HTTPS_PROXY` and `NO_PROXY` name, which only the client of this store reads.",
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
    video_downloads: Annotated[
        int,
        Field(ge=1, description="Most videos of one tenant that are being read from one gateway process; else 429."),
    ] = 50
    video_downloads_total: Annotated[
        int,
        Field(
            ge=1,
            description="Most videos that are being read from one gateway process. A tenant has no more than are left.",
        ),
    ] = 500
    video_read_timeout: Annotated[
        Seconds,
        Field(
            gt=timedelta(0),
            description="A client that does not read the next 256 KiB of a video within this time is disconnected.",
        ),
    ] = timedelta(seconds=30)
    media_redirect: Annotated[
        bool,
        Field(
            description="Answer `…/video` with a redirect to a signed URL, where the store can sign; otherwise, or "
            "with `false`, the response is the video."
        ),
    ] = True
