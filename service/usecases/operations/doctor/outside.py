"""fal and the way back from it: the key by a free question, and whether our public address answers."""

import asyncio
import uuid
from typing import Final

import aiohttp

from service.upstream.client import FalClient
from service.upstream.http_result import HttpResponse, NoHttpResponse
from service.usecases.operations.doctor.finding import Finding, fail, ok, warn

_PUBLIC_SECONDS: Final = 10.0


async def fal_key(fal: FalClient) -> Finding:
    """A made-up request is unknown to whoever may ask, and free of charge."""
    match await fal.status(str(uuid.uuid4())):
        case HttpResponse(status=404):
            return ok("fal key", "fal knows it")
        case HttpResponse(status=401):
            return fail("fal key", "fal does not know it (401)", "Set GATEWAY_FAL_KEY to a key that is in force.")
        case HttpResponse(status=403):
            return fail("fal key", "fal refuses its account (403)", "Top up the balance, or ask fal why it is locked.")
        case HttpResponse(status=status):
            return warn("fal key", f"fal answered {status}", "Try again; look at fal's status page.")
        case NoHttpResponse(reason=reason):
            return fail("fal key", f"fal was not reached ({reason})", "Let this machine reach GATEWAY_FAL_QUEUE_URL.")


async def public_url(url: str | None) -> Finding:
    name = "public URL"
    if url is None:
        return warn(name, "unset: fal calls nobody back", "Set GATEWAY_PUBLIC_URL; without it, polls do it all.")
    remedy = "Route it to the gateway; fal must reach it too."
    try:
        async with (
            asyncio.timeout(_PUBLIC_SECONDS),
            aiohttp.ClientSession(trust_env=False) as session,
            session.get(f"{url}/healthz", allow_redirects=False) as response,
        ):
            body = await response.text()
    except (aiohttp.ClientError, OSError, TimeoutError, UnicodeDecodeError) as error:
        return fail(name, f"not reached from here ({type(error).__name__})", remedy)
    if response.status != 200 or '"ok"' not in body:
        return fail(name, f"something else answers there ({response.status})", remedy)
    if url.startswith("http://"):
        return warn(name, "reached, without TLS", "Use https: callbacks carry tokens.")
    return ok(name, "reached from here")
