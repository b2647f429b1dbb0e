"""``/v1/webhook-endpoints``: the endpoints that receive a tenant's events, their secrets and public keys."""

import base64
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Response

from service.api.http.audited import AuditedRoute
from service.api.http.compression import NO_TRANSFORM
from service.api.http.dependencies import Gateway, Manager, Reader, json_of
from service.api.http.preconditions import IF_MATCH, Version, show_version
from service.api.schemas import problems
from service.api.v1.delivery_schemas import DeliveryView, delivery_view
from service.api.v1.webhook_endpoint_schemas import (
    EndpointBody,
    EndpointChange,
    EndpointList,
    NewEndpointView,
    PublicKeysView,
    SecretRotation,
    SecretsView,
    SigningKeyView,
)
from service.domain.generation_view import rfc3339
from service.domain.signing import PUBLIC_PREFIX, SigningKey, public_bytes
from service.domain.webhook_endpoint import Endpoint
from service.domain.webhook_endpoint_view import EndpointView, public
from service.usecases.webhooks.endpoints import EndpointPatch, EndpointSpec

router = APIRouter(prefix="/v1/webhook-endpoints", tags=["webhooks"], route_class=AuditedRoute)
well_known = APIRouter(prefix="/.well-known/webhook-keys", tags=["webhooks"])

_DEFAULT: Final = "With `default` as the id: the secret that signs webhooks to the `webhook_url` of a request."


async def _endpoint_exists(gateway: Gateway, caller: Manager, endpoint_id: str) -> None:
    """Raise NotFound before the body is read: another tenant's endpoint looks like none, whatever the body."""
    await gateway.webhooks.endpoints.get(caller, endpoint_id)


async def _secret_exists(gateway: Gateway, caller: Manager, endpoint_id: str) -> None:
    """Raise NotFound before the body is read, as ``_endpoint_exists``; ``default`` is an id too."""
    await gateway.webhooks.endpoints.keys(caller, endpoint_id)


@router.post(
    "",
    summary="Register a webhook endpoint",
    dependencies=[NO_TRANSFORM],
    description="The response has the signing secret; `…/secret` shows it again.",
    status_code=201,
    responses=problems(404, 409, 412),
)
async def create_webhook_endpoint(
    gateway: Gateway, caller: Manager, body: Annotated[EndpointBody, json_of(EndpointBody)], response: Response
) -> NewEndpointView:
    endpoint = await gateway.webhooks.endpoints.create(caller, endpoint_spec(body))
    key = endpoint.keys[0]
    show_version(response, endpoint.version)
    response.headers["location"] = f"{router.prefix}/{endpoint.id}"
    return {**public(endpoint), "secret": key.secret, "public_key": _public_key(key)}


@router.get(
    "",
    summary="List webhook endpoints",
    description="All endpoints of the tenant, disabled ones included. Without secrets.",
)
async def list_webhook_endpoints(gateway: Gateway, caller: Reader) -> EndpointList:
    return {"object": "list", "data": await endpoint_views(gateway, await gateway.webhooks.endpoints.list(caller))}


@router.get(
    "/{endpoint_id}",
    summary="Read a webhook endpoint",
    description="Its settings, whether it fails, and why it was disabled. Without its secret.",
)
async def read_webhook_endpoint(gateway: Gateway, caller: Reader, endpoint_id: str, response: Response) -> EndpointView:
    return await _answer(gateway, await gateway.webhooks.endpoints.get(caller, endpoint_id), response)


@router.put(
    "/{endpoint_id}",
    summary="Replace a webhook endpoint",
    dependencies=[Depends(_endpoint_exists)],
    description="Id and secret stay. **Absent fields get their defaults**, except `headers`, which stay. Pending "
    "deliveries go to the new URL.",
    responses=problems(409, 412),
    openapi_extra={"parameters": [IF_MATCH]},
)
async def replace_webhook_endpoint(
    gateway: Gateway,
    caller: Manager,
    body: Annotated[EndpointBody, json_of(EndpointBody)],
    endpoint_id: str,
    version: Version,
    response: Response,
) -> EndpointView:
    endpoints = gateway.webhooks.endpoints
    endpoint = await endpoints.replace(caller, endpoint_id, endpoint_spec(body), versions=version)
    return await _answer(gateway, endpoint, response)


@router.patch(
    "/{endpoint_id}",
    summary="Change a webhook endpoint",
    dependencies=[Depends(_endpoint_exists)],
    description="Changes the given fields only (RFC 7396), for example `enabled` after an outage. Of `headers`, the "
    "named ones change.",
    responses=problems(409, 412),
    openapi_extra={"parameters": [IF_MATCH]},
)
async def change_webhook_endpoint(
    gateway: Gateway,
    caller: Manager,
    body: Annotated[EndpointChange, json_of(EndpointChange)],
    endpoint_id: str,
    version: Version,
    response: Response,
) -> EndpointView:
    endpoint = await gateway.webhooks.endpoints.change(caller, endpoint_id, endpoint_patch(body), versions=version)
    return await _answer(gateway, endpoint, response)


@router.delete(
    "/{endpoint_id}",
    summary="Delete a webhook endpoint",
    description="Its pending deliveries become dead letters.",
    status_code=204,
    responses={204: {"description": "Deleted."}, **problems(412, 422)},
    openapi_extra={"parameters": [IF_MATCH]},
)
async def delete_webhook_endpoint(gateway: Gateway, caller: Manager, endpoint_id: str, version: Version) -> Response:
    await gateway.webhooks.endpoints.delete(caller, endpoint_id, versions=version)
    return Response(status_code=204)


@router.get(
    "/{endpoint_id}/secret",
    summary="Read the secret of a webhook endpoint",
    dependencies=[NO_TRANSFORM],
    description=_DEFAULT,
)
async def read_webhook_secret(gateway: Gateway, caller: Manager, endpoint_id: str) -> SecretsView:
    return _secrets(await gateway.webhooks.endpoints.keys(caller, endpoint_id))


@router.post(
    "/{endpoint_id}/rotate-secret",
    summary="Rotate the secret of a webhook endpoint",
    dependencies=[Depends(_secret_exists), NO_TRANSFORM],
    description=f"For `overlap_seconds`, events carry both signatures, the new one first. {_DEFAULT}",
    responses=problems(409, 412),
)
async def rotate_webhook_secret(
    gateway: Gateway, caller: Manager, body: Annotated[SecretRotation, json_of(SecretRotation)], endpoint_id: str
) -> SecretsView:
    endpoints = gateway.webhooks.endpoints
    overlap = timedelta(seconds=body.overlap_seconds)
    return _secrets(await endpoints.rotate(caller, endpoint_id, overlap=overlap))


@router.post(
    "/{endpoint_id}/test",
    summary="Send a test event",
    description="Sends `webhook.test`, whatever the endpoint subscribed to. Read the delivery for the outcome. Refused "
    "with 429 while the limit of undelivered test events, or of stored deliveries, is reached.",
    status_code=202,
    responses=problems(409, 412),
)
async def send_test_event(gateway: Gateway, caller: Manager, endpoint_id: str, response: Response) -> DeliveryView:
    delivery = await gateway.webhooks.endpoints.test(caller, endpoint_id)
    response.headers["location"] = f"/v1/deliveries/{delivery.id}"
    return delivery_view(delivery)


@well_known.get(
    "/{tenant_id}/{endpoint_id}",
    summary="Read the public keys of a webhook endpoint",
    description="Ed25519 keys. 404 if the endpoint signs with HMAC only.",
    responses=problems(404, 503),
)
async def list_public_keys(gateway: Gateway, tenant_id: str, endpoint_id: str, response: Response) -> PublicKeysView:
    keys = await gateway.webhooks.endpoints.public_keys(tenant_id, endpoint_id)
    raw = [public_bytes(key.private) for key in keys if key.private is not None]
    response.headers["cache-control"] = "public, max-age=60"
    return {
        "keys": [
            {"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": _base64url(key)[:16], "x": _base64url(key)}
            for key in raw
        ],
        "public_keys": [_public_text(key) for key in raw],
    }


async def _answer(gateway: Gateway, endpoint: Endpoint, response: Response) -> EndpointView:
    show_version(response, endpoint.version)
    (view,) = await endpoint_views(gateway, [endpoint])
    return view


async def endpoint_views(gateway: Gateway, endpoints: list[Endpoint]) -> list[EndpointView]:
    """Return the views of endpoints, with their failures."""
    failing = await gateway.webhooks.endpoints.failing(endpoints)
    return [public(endpoint, found) for endpoint, found in zip(endpoints, failing, strict=True)]


def endpoint_spec(body: EndpointBody) -> EndpointSpec:
    """Return the endpoint that a body describes."""
    return EndpointSpec(
        url=body.url,
        events=tuple(body.events),
        description=body.description,
        headers=body.headers,
        ed25519=body.ed25519,
        enabled=body.enabled,
    )


def endpoint_patch(body: EndpointChange) -> EndpointPatch:
    """Return the changes that a body has."""
    given: dict[str, Any] = {name: getattr(body, name) for name in body.model_fields_set}
    if "events" in given:
        given["events"] = tuple(given["events"])
    return EndpointPatch(**given)


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
