"""Settings of the connection to fal: keys, URLs, model."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, Field

from service.config.types import BaseUrl, Key, ProxyUrl, Seconds


class FalSettings(BaseModel):
    fal_key: Annotated[Key, Field(description="The account's fal key, `<id>:<secret>`.")]
    fal_queue_url: Annotated[BaseUrl, Field(description="URL of fal's queue API.")] = "https://queue.fal.run"
    fal_rest_url: Annotated[BaseUrl, Field(description="URL of fal's REST API, for uploads.")] = "https://rest.fal.ai"
    fal_api_url: Annotated[BaseUrl, Field(description="URL of fal's platform API, for billing events.")] = (
        "https://api.fal.ai/v1"
    )
    fal_site_url: Annotated[
        BaseUrl,
        Field(description="URL of fal's site, for the published schemas of models; `doctor --models` alone uses it."),
    ] = "https://fal.ai"
    fal_admin_key: Annotated[
        Key | None,
        Field(
            description="fal key that may read billing events, in which reconciliation finds the request ids of "
            "unconfirmed submits; unset: no reconciliation.",
        ),
    ] = None
    fal_proxy_url: Annotated[
        ProxyUrl | None,
        Field(
            repr=False,
            description="HTTP proxy of all connections to fal, `http://user:password@host:port`; unset: none. "
            "Webhooks, probes of images and Redis are always connected directly. `HTTPS_PROXY` is not read for any of "
            "these.",
        ),
    ] = None
    fal_model: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9-]+/[a-z0-9.-]+(/[a-z0-9.-]+)+$",
            description="Model of requests that name none: its id, which is fal's endpoint id.",
        ),
    ] = "bytedance/seedance-2.0/image-to-video"
    fal_timeout: Annotated[
        Seconds,
        Field(gt=timedelta(0), description="Time limit of one request to fal, from connect to the last byte."),
    ] = timedelta(seconds=30)
    fal_media_hosts: Annotated[
        tuple[str, ...],
        Field(description="Hosts of fal's files, subdomains included. Their files are copied over https, unprobed."),
    ] = ("fal.media",)
