"""What the gateway sends to tenants: one entry for each event, and fal's own form of the end."""

from typing import Any, Final, Literal, NotRequired

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from service.api.fal.openapi import FalError, FalOutput
from service.api.openapi import values as v
from service.api.schemas import SCHEMA_REFERENCE
from service.domain.generation_view import EventView, GenerationView
from service.domain.status import Status
from service.domain.webhook import EventType
from service.domain.webhook_endpoint_view import EndpointEventView, EndpointView

FAL_STYLE: Final = "fal.request"


class FalWebhook(TypedDict):
    """As fal tells of an end. ``error`` with ``ERROR``: the status of the result, whose body is the payload."""

    request_id: str
    gateway_request_id: str
    status: Literal["OK", "ERROR"]
    payload: FalOutput | FalError
    error: NotRequired[str]


_FAILING: Final[EndpointView] = {**v.ENDPOINT, "failing": {"since": v.CREATED, "percent": 50}}
_DISABLED: Final[EndpointView] = {
    **v.ENDPOINT,
    "enabled": False,
    "disabled": {"reason": "failing", "at": v.FINISHED},
}
_WHAT: Final[dict[EventType, tuple[str, GenerationView | EndpointView]]] = {
    EventType.SUBMITTED: (
        "fal has taken it",
        {**v.IN_PROGRESS, "status": Status.SUBMITTED, "started_at": None},
    ),
    EventType.IN_PROGRESS: ("fal works on it", v.IN_PROGRESS),
    EventType.SUCCEEDED: ("The video is there", v.SUCCEEDED),
    EventType.FAILED: ("There will be no video; `error` says why", v.FAILED),
    EventType.CANCELED: ("It was canceled", v.CANCELED),
    EventType.FAILING: ("Another endpoint only fails, and will be disabled", _FAILING),
    EventType.DISABLED: ("Another endpoint was disabled", _DISABLED),
    EventType.TEST: ("Somebody asked for a test; it means nothing", v.ENDPOINT),
}
_RULES: Final = """\
Sent to whoever subscribed; the end of a generation also to the `webhook_url` of its request. Verify the signature \
over `webhook-id.webhook-timestamp.body` (Standard Webhooks 1.0), and take each `webhook-id` once: an event may come \
more than once, and out of order.
"""
_FALS_RULES: Final = """\
To the `fal_webhook` of a submit to `/fal/queue`, in fal's words. Verify it as fal's documentation says, with the keys \
of `/fal/.well-known/jwks.json`.
"""
_ANSWERS: Final = {
    "2XX": {"description": "Taken; any other status is a failure, and it is sent again for about 28 hours"},
    "410": {"description": "Send nothing more: the endpoint is disabled"},
    "429": {"description": "Later, after `Retry-After`"},
    "503": {"description": "Later, after `Retry-After`"},
}


def section(schemas: dict[str, Any]) -> dict[str, Any]:
    """The ``webhooks`` of the document; its schemas go to the others."""
    for name, kind in (
        ("GenerationEvent", EventView),
        ("EndpointEvent", EndpointEventView),
        ("FalWebhook", FalWebhook),
    ):
        schema = TypeAdapter(kind).json_schema(ref_template=SCHEMA_REFERENCE)
        schemas.update(schema.pop("$defs", {}))
        schemas[name] = {**schema, "title": name}
    return {**{kind.value: {"post": _event(kind)} for kind in EventType}, FAL_STYLE: {"post": _fal_style()}}


def _event(kind: EventType) -> dict[str, Any]:
    what, about = _WHAT[kind]
    schema = "GenerationEvent" if about["object"] == "generation" else "EndpointEvent"
    parameters = [
        _header("webhook-id", "The delivery, the same on each of its attempts.", v.DELIVERY_ID),
        _header("webhook-timestamp", "Seconds since 1970, of this attempt.", "1769851934"),
        _header(
            "webhook-signature",
            "`v1,` and base64 of the HMAC; one for each secret in force, with spaces between, and `v1a,` for Ed25519.",
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        _header("traceparent", "As it came with the request.", "00-…-01", required=False),
    ]
    example = {"type": kind.value, "timestamp": v.FINISHED, "data": about}
    return _post(
        f"{what}.", _RULES, f"webhook_{kind.value.replace('.', '_')}", parameters, {"schema": schema, "value": example}
    )


def _fal_style() -> dict[str, Any]:
    parameters = [
        _header("x-fal-webhook-request-id", "The request.", v.GENERATION_ID),
        _header("x-fal-webhook-user-id", "The tenant.", v.TENANT_ID),
        _header("x-fal-webhook-timestamp", "Seconds since 1970, of this attempt.", "1769851934"),
        _header(
            "x-fal-webhook-signature", "Ed25519, in hex, over the other three and the body's SHA-256.", "9f86d081…"
        ),
    ]
    example = {
        "request_id": v.GENERATION_ID,
        "gateway_request_id": v.GENERATION_ID,
        "status": "OK",
        "payload": v.FAL_OUTPUT,
    }
    return _post(
        "The end of a request, as fal tells it.",
        _FALS_RULES,
        "webhook_fal_request",
        parameters,
        {"schema": "FalWebhook", "value": example},
    )


def _post(
    summary: str, description: str, name: str, parameters: list[dict[str, Any]], body: dict[str, Any]
) -> dict[str, Any]:
    content = {
        "schema": {"$ref": SCHEMA_REFERENCE.format(model=body["schema"])},
        "examples": {name: {"value": body["value"]}},
    }
    return {
        "tags": ["fal" if body["schema"] == "FalWebhook" else "webhooks"],
        "summary": summary,
        "description": description,
        "operationId": name,
        "security": [],  # it is signed
        "parameters": parameters,
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": _ANSWERS,
    }


def _header(name: str, description: str, example: str, *, required: bool = True) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": required,
        "description": description,
        "schema": {"type": "string"},
        "example": example,
    }
