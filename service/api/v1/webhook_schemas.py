"""Bodies and views of webhook endpoints and deliveries."""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from service.domain.generation_view import rfc3339
from service.domain.request import Url
from service.domain.webhook import ENDS, Attempt, Delivery, DeliveryStatus, EventType
from service.domain.webhook_endpoint_view import EndpointView

_MOST_HEADERS: Final = 10
#: As text: a number might be seconds, or milliseconds.
_Moment = Annotated[AwareDatetime, Field(strict=True)]
_LONGEST_OVERLAP: Final = 7 * 24 * 3600
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e]{0,1024}")
#: What the message itself is made of, and what proxies go by: not a tenant's to set.
_OURS: Final = frozenset(
    {
        *("accept-encoding", "connection", "content-encoding", "content-length", "content-type", "cookie", "expect"),
        *("forwarded", "host", "keep-alive", "proxy-authorization", "proxy-connection", "te", "traceparent", "trailer"),
        *("transfer-encoding", "upgrade", "user-agent", "via"),
    }
)
_OUR_PREFIXES: Final = ("webhook-", "x-forwarded-")


def _headers(value: dict[str, str]) -> dict[str, str]:
    if len({name.lower() for name in value}) != len(value) or len(value) > _MOST_HEADERS:
        raise PydanticCustomError("headers_size", "must have at most 10 headers, each once")
    for name, text in value.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OURS or name.lower().startswith(_OUR_PREFIXES):
            raise PydanticCustomError("header_name", "a header's name is malformed, or one that the gateway sets")
        if not _HEADER_VALUE.fullmatch(text) or text != text.strip():
            raise PydanticCustomError("header_value", "a header's value must be visible ASCII, 1024 characters at most")
    return {name.lower(): text for name, text in value.items()}


def _events(value: list[EventType]) -> list[EventType]:
    return sorted(set(value), key=list(EventType).index)


class EndpointBody(BaseModel):
    """A webhook endpoint, whole: what is left out goes back to its default."""

    model_config = ConfigDict(extra="forbid")

    url: Url
    events: Annotated[
        list[EventType],
        Field(min_length=1, description="What it hears of; `webhook.test` comes to every endpoint that is tested."),
        AfterValidator(_events),
    ] = list(ENDS)
    description: Annotated[str, Field(max_length=500)] = ""
    headers: Annotated[
        dict[str, str] | None,
        Field(description="Sent with every event. Never shown again but by name; left out, they stay as they are."),
        AfterValidator(lambda value: value if value is None else _headers(value)),
    ] = None
    ed25519: Annotated[bool, Field(strict=True, description="Sign with Ed25519 (`v1a`) as well.")] = False
    enabled: Annotated[bool, Field(strict=True, description="Enabling forgets its failures.")] = True


class SecretRotation(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    overlap_seconds: Annotated[
        int, Field(ge=0, le=_LONGEST_OVERLAP, description="How long the old secret signs beside the new one.")
    ] = 24 * 3600


class ReplayBody(BaseModel):
    """Which deliveries are sent again: all that match, 500 a call; go on with `next_cursor`."""

    model_config = ConfigDict(extra="forbid")

    endpoint_id: Annotated[str | None, Field(max_length=64)] = None
    status: Literal["dead", "delivered"] = "dead"
    event: EventType | None = None
    created_after: _Moment | None = None
    created_before: _Moment | None = None
    cursor: Annotated[str | None, Field(max_length=100)] = None


ENDPOINT_BODY: Final = TypeAdapter(EndpointBody)
SECRET_ROTATION: Final = TypeAdapter(SecretRotation)
REPLAY_BODY: Final = TypeAdapter(ReplayBody)


class NewEndpointView(EndpointView):
    """With its secret, which no other answer shows but the one that is asked for it."""

    secret: str
    public_key: str | None


class EndpointList(TypedDict):
    object: Literal["list"]
    data: list[EndpointView]


class SigningKeyView(TypedDict):
    """``expires_at``: when a retired one signs no more; null: the current one."""

    secret: str
    public_key: str | None
    expires_at: str | None


class SecretsView(TypedDict):
    object: Literal["webhook_secret"]
    secret: str
    public_key: str | None
    keys: list[SigningKeyView]


class JsonWebKey(TypedDict):
    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    use: Literal["sig"]
    kid: str
    x: str


class PublicKeysView(TypedDict):
    """``keys`` as a JSON Web Key Set; ``public_keys`` the same as Standard Webhooks writes them."""

    keys: list[JsonWebKey]
    public_keys: list[str]


class AttemptView(TypedDict):
    at: str
    latency_ms: int
    status: int | None
    error: str | None
    answer: str


class DeliveryView(TypedDict):
    """``attempt_count`` of all its rounds. ``attempts`` and ``body`` only where one delivery is read."""

    id: str
    object: Literal["delivery"]
    event: str
    status: DeliveryStatus
    endpoint_id: str | None
    generation_id: str | None
    url: str
    attempt_count: int
    next_attempt_at: str | None
    created_at: str
    last_attempt: AttemptView | None


class DeliveryDetailView(DeliveryView):
    body: str
    attempts: list[AttemptView]


class DeliveryList(TypedDict):
    object: Literal["list"]
    data: list[DeliveryView]
    has_more: bool
    next_cursor: str | None


class ReplayView(TypedDict):
    object: Literal["replay"]
    replayed: int
    skipped: int
    has_more: bool
    next_cursor: str | None


def delivery_view(delivery: Delivery) -> DeliveryView:
    return {
        "id": delivery.id,
        "object": "delivery",
        "event": delivery.event,
        "status": delivery.status,
        "endpoint_id": delivery.endpoint_id,
        "generation_id": delivery.generation_id,
        "url": delivery.url,
        "attempt_count": delivery.made,
        "next_attempt_at": None if delivery.next_attempt_at is None else rfc3339(delivery.next_attempt_at),
        "created_at": rfc3339(delivery.created_at),
        "last_attempt": _attempt(delivery.attempts[-1]) if delivery.attempts else None,
    }


def delivery_detail(delivery: Delivery) -> DeliveryDetailView:
    return {
        **delivery_view(delivery),
        "body": delivery.body,
        "attempts": [_attempt(attempt) for attempt in delivery.attempts],
    }


def _attempt(attempt: Attempt) -> AttemptView:
    return {
        "at": rfc3339(attempt.at),
        "latency_ms": attempt.latency_ms,
        "status": attempt.status,
        "error": attempt.error,
        "answer": attempt.answer,
    }
