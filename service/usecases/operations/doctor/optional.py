"""Checks of what a deployment may have or not: the store of videos, fal's billing events, a collector of traces."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from service.errors import UpstreamUnavailable
from service.media.videos import VideoMissing, VideoStore, VideoStoreUnavailable
from service.observability import tracing
from service.observability.causes import named
from service.upstream.billing import FalBilling
from service.usecases.operations.doctor.finding import Finding, fail, ok, warn

_SECONDS: Final = 20.0
_OBJECT: Final = b"written by seedance-gateway doctor"
_COLLECTOR_SECONDS: Final = 5.0
_PORTS: Final = {"http": 80, "https": 443}


async def video_store(store: VideoStore | None) -> Finding:
    """Write, read and delete a small object."""
    name = "video store"
    if store is None:
        return ok(name, "GATEWAY_MEDIA_URL is unset: results have fal's URLs, which expire")
    remedy = "Check GATEWAY_MEDIA_URL, the credentials, and that they may write, read and delete."
    path = f"doctor/{uuid.uuid4().hex}"
    try:
        async with asyncio.timeout(_SECONDS):
            await store.write(path, _chunks(), content_type="text/plain", most=len(_OBJECT))
            found = b"".join([chunk async for chunk in await store.read(path, 0, len(_OBJECT))])
            await store.delete(path)
    except (VideoStoreUnavailable, VideoMissing, TimeoutError) as error:
        reason = str(error) or type(error).__name__
        return fail(name, f"an object cannot be written, read and deleted ({reason})", remedy)
    if found != _OBJECT:
        return fail(name, "other bytes were read than were written", remedy)
    return ok(name, "writable and readable")


async def _chunks() -> AsyncIterator[bytes]:
    yield _OBJECT


async def billing(fal: FalBilling | None, endpoint_id: str, now: datetime) -> Finding:
    name = "billing key"
    if fal is None:
        return ok(name, "GATEWAY_FAL_ADMIN_KEY is unset: unconfirmed submits are not looked up in fal's bill")
    try:
        await fal.events(endpoint_id, start=now - timedelta(minutes=1), end=now)
    except UpstreamUnavailable as error:
        return fail(name, error.detail, "Set GATEWAY_FAL_ADMIN_KEY to a key of fal with admin rights.")
    return ok(name, "fal's billing events are readable")


async def collector(environment: Mapping[str, str]) -> Finding:
    """Connect to the collector of traces. Nothing is sent."""
    name = "traces"
    if (endpoint := tracing.endpoint(environment)) is None:
        return ok(name, "OTEL_EXPORTER_OTLP_ENDPOINT is unset: none are sent")
    url = urlsplit(endpoint)
    remedy = "Check OTEL_EXPORTER_OTLP_ENDPOINT and the collector; without it, traces are dropped."
    try:
        async with asyncio.timeout(_COLLECTOR_SECONDS):
            _, writer = await asyncio.open_connection(url.hostname, url.port or _PORTS.get(url.scheme, 443))
        writer.close()
    except (OSError, TimeoutError, ValueError) as error:
        return warn(name, f"the collector at {url.hostname} is not reachable ({named(error)})", remedy)
    if not tracing.is_installed():
        return warn(name, "the packages of OpenTelemetry are missing", "Install seedance-gateway[otel].")
    return ok(name, f"the collector at {url.hostname} is reachable")
