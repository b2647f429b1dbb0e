"""Creates of dialects whose clients send a request again without an idempotency key."""

import hashlib

from fastapi import Request

from service.api.http.dependencies import caller_of, runtime
from service.api.http.request_headers import header
from service.api.http.response_receipt import client_of
from service.api.v1.generations import idempotency_key, traceparent
from service.domain.request import CreateGeneration
from service.domain.tenant import Tenant
from service.domain.webhook import WebhookStyle
from service.store.generations.creation import Attempt
from service.usecases.generations.create import CreateOptions
from service.usecases.generations.resends import Submission


async def create(
    request: Request, caller: Tenant, wanted: CreateGeneration, *, webhook_style: WebhookStyle = "standard"
) -> Submission:
    """Create a generation, or return that of the same request whose response the client did not receive.

    The answer must be a ``NotedResponse``. ``webhook_style``: format of the webhook to the URL that the request names.
    Raises as ``GenerationCreator.create``.
    """
    options = CreateOptions(
        idempotency_key=idempotency_key(request),
        webhook_style="standard" if wanted.webhook_url is None else webhook_style,
        traceparent=traceparent(request),
    )
    resends = runtime(request).generations.resends
    return await resends.create(
        caller,
        wanted,
        options,
        digest=_digest(request, wanted),
        require_client=client_of(request),
        attempt=attempt(request),
    )


def attempt(request: Request) -> Attempt:
    """Return what ``X-Stainless-Retry-Count`` says: SDKs that Stainless generates count their retries in it."""
    count = header(request.scope, b"x-stainless-retry-count").strip()
    if not (count.isascii() and count.isdecimal()):
        return ""
    return "repeat" if count.strip("0") else "first"


def _digest(request: Request, wanted: CreateGeneration) -> str:
    """Hash what makes two requests the same: key, path, and what is wanted. A form has another boundary each time."""
    parts = (caller_of(request).key.id, request.scope["path"], wanted.fingerprint())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
