"""What the gateway sends to tenants: one entry for each event, and fal's own form of the end."""

from typing import Any, Final, Literal, NotRequired

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from service.api.fal.schemas import FalError, FalOutput
from service.api.openapi import values as v
from service.api.schemas import SCHEMA_REFERENCE
from service.domain.described import described
from service.domain.generation_view import EventView, GenerationView
from service.domain.status import PublicStatus
from service.domain.webhook import EventType
from service.domain.webhook_endpoint_view import EndpointEventView, EndpointView

FAL_STYLE: Final = "fal.request"


@described
class FalWebhook(TypedDict):
    """The end of a request, in the form of fal's webhooks."""

    request_id: str
    """Id of the generation, which is the request id below `/fal`."""
    gateway_request_id: str
    """The same id."""
    status: Literal["OK", "ERROR"]
    """`OK`: the payload is the output. `ERROR`: the payload is the error."""
    payload: FalOutput | FalError
    """The body that `GET` of the request returns."""
    error: NotRequired[str]
    """With `ERROR`: the HTTP status that `GET` of the request returns."""


_FAILING: Final[EndpointView] = {**v.ENDPOINT, "failing": {"since": v.CREATED, "attempts": 12, "percent": 50}}
_DISABLED: Final[EndpointView] = {
    **v.ENDPOINT,
    "enabled": False,
    "disabled": {"reason": "failing", "at": v.FINISHED},
}
_WHAT: Final[dict[EventType, tuple[str, GenerationView | EndpointView]]] = {
    EventType.SUBMITTED: (
        "fal accepted the job",
        {**v.IN_PROGRESS, "status": PublicStatus.SUBMITTED, "started_at": None},
    ),
    EventType.IN_PROGRESS: ("fal renders the video", v.IN_PROGRESS),
    EventType.SUCCEEDED: ("The video is ready", v.SUCCEEDED),
    EventType.FAILED: ("The generation ended without a video; `error` has the reason", v.FAILED),
    EventType.CANCELED: ("The generation was canceled", v.CANCELED),
    EventType.FAILING: ("Every attempt to another endpoint fails; it will be disabled", _FAILING),
    EventType.DISABLED: ("Another endpoint was disabled", _DISABLED),
    EventType.TEST: ("A test event that was requested; no action is needed", v.ENDPOINT),
}
_RULES: Final = """\
Sent to every webhook endpoint that subscribed to the event type. The events of the end also go to the `webhook_url` \
of the request. Verify the signature over `webhook-id.webhook-timestamp.body` (Standard Webhooks 1.0). Process each \
`webhook-id` once: an event may arrive more than once, and out of order.
"""
_FALS_RULES: Final = """\
Sent to the `fal_webhook` of a submit to `/fal/queue`, in the form of fal's webhooks. Verify it as fal's documentation \
describes, with the key of `/fal/.well-known/{tenant_id}/jwks.json`.
"""
_ANSWERS: Final = {
    "2XX": {
        "description": "Accepted. Any other status is a failure; eight attempts follow each other over about 28 hours."
    },
    "410": {"description": "The receiver is gone: the endpoint is disabled."},
    "429": {"description": "A failure; the next attempt is not made before `Retry-After`."},
    "503": {"description": "A failure; the next attempt is not made before `Retry-After`."},
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
        _header("webhook-id", "Id of the delivery, the same on each attempt.", v.DELIVERY_ID),
        _header("webhook-timestamp", "When this attempt was signed, in seconds since 1970.", "1769851934"),
        _header(
            "webhook-signature",
            "`v1,` and the base64 HMAC-SHA256, one for each current secret, separated by spaces; `v1a,` and "
            "the Ed25519 signature if the endpoint has one.",
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        _header("traceparent", "W3C Trace Context of the create, if it had one.", "00-…-01", required=False),
    ]
    example = {"type": kind.value, "timestamp": v.FINISHED, "data": about}
    return _post(
        f"{what}.", _RULES, f"receive_{kind.value.replace('.', '_')}", parameters, {"schema": schema, "value": example}
    )


def _fal_style() -> dict[str, Any]:
    parameters = [
        _header("x-fal-webhook-request-id", "Id of the request.", v.GENERATION_ID),
        _header("x-fal-webhook-user-id", "Id of the tenant.", v.TENANT_ID),
        _header("x-fal-webhook-timestamp", "When this attempt was signed, in seconds since 1970.", "1769851934"),
        _header(
            "x-fal-webhook-signature",
            "Ed25519 in hexadecimal, over the other three headers and the SHA-256 of the body.",
            "9f86d081…",
        ),
    ]
    example = {
        "request_id": v.GENERATION_ID,
        "gateway_request_id": v.GENERATION_ID,
        "status": "OK",
        "payload": v.FAL_OUTPUT,
    }
    return _post(
        "A request ended (fal's form).",
        _FALS_RULES,
        "receive_fal_request",
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
        "tags": ["webhook events"],  # a tag of routes would mix received and sent operations in a generated client
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
