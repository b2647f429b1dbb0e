"""What endpoints have in common: the runtime, the caller, the body."""

import asyncio
from typing import Final

from fastapi import Request

from service.domain.tenant import Scope, Tenant
from service.errors import Malformed, RateLimited, Timeout, Unauthenticated, UnsupportedMedia
from service.observability import log
from service.runtime import Runtime

LONGEST_WAIT: Final = 60
#: Description of both parameters, so that a reader of one learns of the other.
WAIT: Final = """\
There are two ways to wait, 60 seconds at most. `Prefer: wait=N` on the create holds the response until the generation \
has **ended**; a larger N means 60, and `Preference-Applied` names the seconds that were applied. `?wait=N` on the \
read holds the response until the **status changes**, also from `queued` to `submitting`; a larger N is a 422. When \
the time is over, both return the generation as it is. Default: no waiting.
"""
#: Python raises when it is to read a number of more than 4,300 digits.
_MOST_DIGITS: Final = 9


def runtime(request: Request) -> Runtime:
    found: Runtime = request.app.state.runtime
    return found


async def tenant(request: Request, scope: Scope) -> Tenant:
    """The tenant behind ``Authorization: Bearer <key>``."""
    return await admitted(request, bearer(request), scope)


async def admitted(request: Request, key: str, scope: Scope) -> Tenant:
    """The tenant behind a key, its call counted."""
    access = runtime(request).tenants.authenticator
    caller = await access.authenticate(key, scope)
    request.scope["tenant"] = caller.tenant.id
    log.bind(tenant=caller.tenant.id)
    request.scope["rate"] = verdict = await access.count(caller)
    if verdict is not None and not verdict.allowed:
        raise RateLimited(
            f"More than {verdict.per_minute} calls a minute.", retry_after=verdict.retry_after.total_seconds()
        )
    return caller.tenant


def bearer(request: Request) -> str:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Unauthenticated("Send your key as 'Authorization: Bearer <key>'.")
    return key.strip()


async def json_body(request: Request) -> bytes:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise UnsupportedMedia("Send the body as application/json.")
    return await whole_body(request)


async def whole_body(request: Request, *, within: float | None = None) -> bytes:
    """``within`` seconds, or as many as an upload may take. Raises Timeout: it took longer to arrive."""
    seconds = runtime(request).settings.upload_timeout.total_seconds() if within is None else within
    try:
        async with asyncio.timeout(seconds):
            return await request.body()
    except TimeoutError:
        raise Timeout(f"The body took longer than {seconds:g} seconds.") from None


def preferred_wait(request: Request) -> int:
    """Seconds of ``Prefer: wait=N`` (RFC 7240), at most 60; 0 where none is asked for."""
    for preference in request.headers.get("prefer", "").split(","):
        name, _, value = preference.strip().partition("=")
        if name.strip().lower() == "wait":
            if not value.strip().isdecimal():
                raise Malformed("'Prefer: wait=N' takes whole seconds.")
            return LONGEST_WAIT if len(value) > _MOST_DIGITS else min(int(value), LONGEST_WAIT)
    return 0
