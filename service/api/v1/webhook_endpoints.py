"""``/v1/webhook-endpoints``: where a tenant hears of its generations; and the public keys to verify that with."""

import asyncio
import base64
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from fastapi import APIRouter, Request, Response

from service.api.http.dependencies import json_body, runtime, tenant
from service.api.http.responses import json_response
from service.api.schemas import body_of, problems
from service.api.v1.webhook_schemas import (
    ENDPOINT_BODY,
    SECRET_ROTATION,
    DeliveryView,
    EndpointBody,
    EndpointList,
    NewEndpointView,
    PublicKeysView,
    SecretRotation,
    SecretsView,
    SigningKeyView,
    delivery_view,
)
from service.domain.generation_view import rfc3339
from service.domain.request import parse
from service.domain.signing import PUBLIC_PREFIX, SigningKey, public_bytes
from service.domain.tenant import Scope
from service.domain.webhook_endpoint import Endpoint
from service.domain.webhook_endpoint_view import EndpointView, FailingView, public
from service.usecases.webhooks.endpoints import Wanted

router = APIRouter(prefix="/v1/webhook-endpoints", tags=["webhooks"])
well_known = APIRouter(prefix="/.well-known/webhook-keys", tags=["webhooks"])

_READ: Final = (401, 403, 404, 429, 503)
_WRITE: Final = (400, 401, 403, 404, 408, 409, 412, 413, 415, 422, 429, 503)
_DEFAULT: Final = "With `default` as the id: the secret that signs webhooks to the `webhook_url` of a request."


@router.post(
    "",
    summary="Register a webhook endpoint",
    description="The response has the signing secret; `…/secret` shows it again.",
    status_code=201,
    responses={201: {"model": NewEndpointView}, **problems(*_WRITE)},
    openapi_extra=body_of(EndpointBody),
)
async def create(request: Request) -> Response:
    caller = await tenant(request, Scope.MANAGE)
    wanted = parse(ENDPOINT_BODY, await json_body(request))
    endpoint = await runtime(request).webhooks.endpoints.create(caller, _wanted(wanted))
    key = endpoint.keys[0]
    answer: NewEndpointView = {**public(endpoint), "secret": key.secret, "public_key": _public_key(key)}
    return json_response(answer, status=201, headers={"location": f"{router.prefix}/{endpoint.id}"})


@router.get(
    "", summary="List webhook endpoints", responses={200: {"model": EndpointList}, **problems(401, 403, 429, 503)}
)
async def list_(request: Request) -> Response:
    caller = await tenant(request, Scope.READ)
    found = await runtime(request).webhooks.endpoints.list(caller)
    answer: EndpointList = {"object": "list", "data": await asyncio.gather(*(_view(request, each) for each in found))}
    return json_response(answer)


@router.get(
    "/{endpoint_id}",
    summary="Read a webhook endpoint",
    responses={200: {"model": EndpointView}, **problems(*_READ)},
)
async def read(request: Request, endpoint_id: str) -> Response:
    caller = await tenant(request, Scope.READ)
    return json_response(await _view(request, await runtime(request).webhooks.endpoints.get(caller, endpoint_id)))


@router.put(
    "/{endpoint_id}",
    summary="Replace a webhook endpoint",
    description="Id and secret stay. **Absent fields get their defaults**, except `headers`, which stay. Pending "
    "deliveries go "
    "to the new URL.",
    responses={200: {"model": EndpointView}, **problems(*_WRITE)},
    openapi_extra=body_of(EndpointBody),
)
async def replace(request: Request, endpoint_id: str) -> Response:
    caller = await tenant(request, Scope.MANAGE)
    endpoints = runtime(request).webhooks.endpoints
    await endpoints.get(caller, endpoint_id)
    wanted = parse(ENDPOINT_BODY, await json_body(request))
    endpoint = await endpoints.replace(caller, endpoint_id, _wanted(wanted))
    return json_response(await _view(request, endpoint))


@router.delete(
    "/{endpoint_id}",
    summary="Delete a webhook endpoint",
    description="Its pending deliveries become dead letters.",
    status_code=204,
    responses={204: {"description": "Deleted."}, **problems(*_READ)},
)
async def delete(request: Request, endpoint_id: str) -> Response:
    caller = await tenant(request, Scope.MANAGE)
    await runtime(request).webhooks.endpoints.delete(caller, endpoint_id)
    return Response(status_code=204)


@router.get(
    "/{endpoint_id}/secret",
    summary="Read the secret of a webhook endpoint",
    description=_DEFAULT,
    responses={200: {"model": SecretsView}, **problems(*_READ)},
)
async def secret(request: Request, endpoint_id: str) -> Response:
    caller = await tenant(request, Scope.MANAGE)
    return json_response(_secrets(await runtime(request).webhooks.endpoints.keys(caller, endpoint_id)))


@router.post(
    "/{endpoint_id}/rotate-secret",
    summary="Rotate the secret of a webhook endpoint",
    description=f"For `overlap_seconds`, events carry both signatures, the new one first. {_DEFAULT}",
    responses={200: {"model": SecretsView}, **problems(*_WRITE)},
    openapi_extra=body_of(SecretRotation),
)
async def rotate_secret(request: Request, endpoint_id: str) -> Response:
    caller = await tenant(request, Scope.MANAGE)
    endpoints = runtime(request).webhooks.endpoints
    await endpoints.keys(caller, endpoint_id)
    overlap = timedelta(seconds=parse(SECRET_ROTATION, await json_body(request)).overlap_seconds)
    return json_response(_secrets(await endpoints.rotate(caller, endpoint_id, overlap=overlap)))


@router.post(
    "/{endpoint_id}/test",
    summary="Send a test event",
    description="Sends `webhook.test`, whatever the endpoint subscribed to. Read the delivery for the outcome.",
    status_code=202,
    responses={202: {"model": DeliveryView}, **problems(401, 403, 404, 409, 412, 429, 503)},
)
async def test(request: Request, endpoint_id: str) -> Response:
    caller = await tenant(request, Scope.MANAGE)
    delivery = await runtime(request).webhooks.endpoints.test(caller, endpoint_id)
    return json_response(delivery_view(delivery), status=202, headers={"location": f"/v1/deliveries/{delivery.id}"})


@well_known.get(
    "/{tenant_id}/{endpoint_id}",
    summary="Read the public keys of a webhook endpoint",
    description="Ed25519 keys. 404 if the endpoint signs with HMAC only.",
    responses={200: {"model": PublicKeysView}, **problems(404, 503)},
)
async def public_keys(request: Request, tenant_id: str, endpoint_id: str) -> Response:
    keys = await runtime(request).webhooks.endpoints.public_keys(tenant_id, endpoint_id)
    raw = [public_bytes(key.private) for key in keys if key.private is not None]
    answer: PublicKeysView = {
        "keys": [
            {"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": _base64url(key)[:16], "x": _base64url(key)}
            for key in raw
        ],
        "public_keys": [_public_text(key) for key in raw],
    }
    return json_response(answer, headers={"cache-control": "public, max-age=60"})


async def _view(request: Request, endpoint: Endpoint) -> EndpointView:
    failing: FailingView | None = await runtime(request).webhooks.endpoints.failing(endpoint)
    return public(endpoint, failing)


def _wanted(body: EndpointBody) -> Wanted:
    return Wanted(
        url=body.url,
        events=tuple(body.events),
        description=body.description,
        headers=body.headers,
        ed25519=body.ed25519,
        enabled=body.enabled,
    )


def _secrets(keys: Sequence[SigningKey]) -> SecretsView:
    shown = [_key_view(key) for key in keys]
    return {
        "object": "webhook_secret",
        "secret": keys[0].secret,
        "public_key": _public_key(keys[0]),
        "keys": shown,
    }


def _key_view(key: SigningKey) -> SigningKeyView:
    return {
        "secret": key.secret,
        "public_key": _public_key(key),
        "expires_at": None if key.until is None else rfc3339(key.until),
    }


def _public_key(key: SigningKey) -> str | None:
    return None if key.private is None else _public_text(public_bytes(key.private))


def _public_text(raw: bytes) -> str:
    return PUBLIC_PREFIX + base64.b64encode(raw).decode()


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
