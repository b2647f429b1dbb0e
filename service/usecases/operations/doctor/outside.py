"""Checks of fal: the key by a request that costs nothing, and the public URL that fal calls back."""

import asyncio
import uuid
from typing import Final

import aiohttp

from service.observability.causes import named
from service.upstream.answer_body import IDENTITY, LARGEST_DOCUMENT, AnswerTooLarge, read_body
from service.upstream.client import FalClient
from service.upstream.http_result import HttpResponse, NoHttpResponse
from service.usecases.operations.doctor.finding import Finding, fail, ok, warn

_PUBLIC_SECONDS: Final = 10.0


async def fal_key(fal: FalClient) -> Finding:
    """Ask for the status of a random request id: fal answers 404 if it accepts the key, and charges nothing."""
    match await fal.status(str(uuid.uuid4())):
        case HttpResponse(status=404):
            return ok("fal key", "accepted by fal")
        case HttpResponse(status=401):
            return fail("fal key", "rejected by fal (401)", "Set GATEWAY_FAL_KEY to a valid key.")
        case HttpResponse(status=403):
            return fail(
                "fal key", "fal refuses the account (403)", "Top up the balance, or ask fal why the account is locked."
            )
        case HttpResponse(status=status):
            return warn("fal key", f"fal answered {status}", "Try again; see fal's status page.")
        case NoHttpResponse() as none:
            return fail(
                "fal key",
                f"fal is not reachable ({none.explained})",
                "Allow this machine to connect to GATEWAY_FAL_QUEUE_URL; behind a proxy, set GATEWAY_FAL_PROXY_URL.",
            )


async def public_url(url: str | None) -> Finding:
    name = "public URL"
    if url is None:
        return warn(
            name, "unset: fal sends no callbacks", "Set GATEWAY_PUBLIC_URL; without it, the gateway only polls."
        )
    remedy = "Route this URL to the gateway; fal must reach it too."
    try:
        async with (
            asyncio.timeout(_PUBLIC_SECONDS),
            aiohttp.ClientSession(headers=IDENTITY, auto_decompress=False, trust_env=False) as session,
            session.get(f"{url}/healthz", allow_redirects=False) as response,
        ):
            body = await read_body(response.headers, response.content.iter_any(), most=LARGEST_DOCUMENT)
    except (aiohttp.ClientError, OSError, TimeoutError, AnswerTooLarge) as error:
        return fail(name, f"not reachable from this machine ({named(error)})", remedy)
    if response.status != 200 or b'"ok"' not in body:
        return fail(name, f"the response is not the gateway's ({response.status})", remedy)
    if url.startswith("http://"):
        return warn(name, "reachable, without TLS", "Use https: callback URLs hold tokens.")
    return ok(name, "reachable from this machine")
