"""Bodies and views of webhook endpoints, their secrets and public keys."""

import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from service.domain.described import Timestamp, describe, described
from service.domain.field_types import Url
from service.domain.webhook import ENDS, EventType
from service.domain.webhook_endpoint import MOST_HEADERS
from service.domain.webhook_endpoint_view import EndpointView

_LONGEST_OVERLAP: Final = 7 * 24 * 3600
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e]{0,1024}")
#: Headers that the gateway or a proxy sets. A tenant cannot set them.
_RESERVED: Final = frozenset(
    {
        *("accept-encoding", "connection", "content-encoding", "content-length", "content-type", "cookie", "expect"),
        *("forwarded", "host", "keep-alive", "proxy-authorization", "proxy-connection", "te", "traceparent", "trailer"),
        *("transfer-encoding", "upgrade", "user-agent", "via"),
    }
)
_RESERVED_PREFIXES: Final = ("webhook-", "x-forwarded-")


def _headers(value: dict[str, str]) -> dict[str, str]:
    if len({name.lower() for name in value}) != len(value) or len(value) > MOST_HEADERS:
        raise PydanticCustomError("headers_size", f"must have at most {MOST_HEADERS} headers, each once")
    for name, text in value.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _RESERVED or name.lower().startswith(_RESERVED_PREFIXES):
            raise PydanticCustomError("header_name", "a header's name is malformed, or one that the gateway sets")
        if not _HEADER_VALUE.fullmatch(text) or text != text.strip():
            raise PydanticCustomError("header_value", "a header's value must be visible ASCII, 1024 characters at most")
    return {name.lower(): text for name, text in value.items()}


def _header_changes(value: dict[str, str | None]) -> dict[str, str | None]:
    """Check the headers that are set as ``_headers`` does. Null removes a header, whatever its name."""
    _headers({name: text or "" for name, text in value.items()})
    return {name.lower(): text for name, text in value.items()}


def _not_null(value: Any) -> Any:
    """Refuse null: a client that sends null for each field that it does not know would reset the endpoint."""
    if value is None:
        raise PydanticCustomError("null", "must not be null: leave the field out, so that it does not change")
    return value


def _events(value: list[EventType]) -> list[EventType]:
    return sorted(set(value), key=list(EventType).index)


class EndpointBody(BaseModel):
    """A whole webhook endpoint: an absent field has its default."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=describe)

    url: Url
    """Absolute http or https URL that receives the events. Operators can restrict it to https and to public
    addresses.
    """
    events: Annotated[
        list[EventType],
        Field(
            min_length=1,
            description=(
                "Event types that it receives. Default: the three ends of a generation. Every endpoint can "
                "receive `webhook.test`."
            ),
        ),
        AfterValidator(_events),
    ] = list(ENDS)
    description: Annotated[str, Field(max_length=500)] = ""
    """Your note, 500 characters at most. Default: empty."""
    headers: Annotated[
        dict[str, str] | None,
        Field(
            description=(
                "Headers sent with every event, 10 at most. Their values are never shown again. Default: none; in"
                " a `PUT`, unchanged."
            )
        ),
        AfterValidator(lambda value: value if value is None else _headers(value)),
    ] = None
    ed25519: Annotated[bool, Field(strict=True, description="Also sign with Ed25519 (`v1a`). Default `false`.")] = False
    enabled: Annotated[
        bool,
        Field(strict=True, description="Whether events are sent; default `true`. Enabling resets the failure count."),
    ] = True


def _describe_change(schema: dict[str, Any], model: Any) -> None:
    """Describe the fields without a default: an absent field has none, it does not change."""
    describe(schema, model)
    for field in schema["properties"].values():
        field.pop("default", None)


#: Default of a field that does not change. It is never used: only ``model_fields_set`` is applied.
_ABSENT: Final[Any] = None
_Given = BeforeValidator(_not_null)
_EventTypes = Annotated[list[EventType], Field(min_length=1), AfterValidator(_events)]
_Note = Annotated[str, Field(max_length=500)]
_HeaderChanges = Annotated[dict[str, str | None], AfterValidator(_header_changes)]
_Switch = Annotated[bool, Field(strict=True)]


class EndpointChange(BaseModel):
    """The fields of a webhook endpoint that change (RFC 7396). Absent fields stay as they are."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_describe_change)

    url: Annotated[Url, _Given] = _ABSENT
    """New URL. Pending deliveries go to it. Absent: unchanged."""
    events: Annotated[_EventTypes, _Given] = _ABSENT
    """New list of event types. Absent: unchanged."""
    description: Annotated[_Note, _Given] = _ABSENT
    """New note, 500 characters at most. Absent: unchanged."""
    headers: Annotated[_HeaderChanges, _Given] = _ABSENT
    """Headers to set, by name; `null` removes one, all others stay. 10 at most in the end. Absent: unchanged."""
    ed25519: Annotated[_Switch, _Given] = _ABSENT
    """Switch Ed25519 (`v1a`) on or off. Absent: unchanged."""
    enabled: Annotated[_Switch, _Given] = _ABSENT
    """Enable or disable. Enabling resets the failure count. Absent: unchanged."""


class SecretRotation(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", json_schema_extra=describe)

    overlap_seconds: Annotated[
        int,
        Field(
            ge=0,
            le=_LONGEST_OVERLAP,
            description="Seconds for which the old secret also signs, 0 to 604800. Default 86400, one day.",
        ),
    ] = 24 * 3600


@described
class NewEndpointView(EndpointView):
    """A webhook endpoint with its secret."""

    secret: str
    """Signing secret, `whsec_` and base64. Only this response and `GET …/secret` show it."""
    public_key: str | None
    """Ed25519 public key, `whpk_` and base64. `null` unless `ed25519` is true."""


@described
class EndpointList(TypedDict):
    object: Literal["list"]
    """Always `list`."""
    data: list[EndpointView]
    """All endpoints of the tenant, 20 at most."""


@described
class SigningKeyView(TypedDict):
    secret: str
    """The secret, `whsec_` and base64."""
    public_key: str | None
    """Ed25519 public key, `whpk_` and base64. `null`: this key signs with HMAC only."""
    expires_at: Timestamp | None
    """When a rotated secret stops signing, RFC 3339 in UTC with milliseconds. `null`: the current secret."""


@described
class SecretsView(TypedDict):
    object: Literal["webhook_secret"]
    """Always `webhook_secret`."""
    secret: str
    """The current secret, `whsec_` and base64."""
    public_key: str | None
    """Ed25519 public key of the current secret. `null` unless `ed25519` is true."""
    keys: list[SigningKeyView]
    """All secrets that sign now, the current one first."""


@described
class JsonWebKey(TypedDict):
    kty: Literal["OKP"]
    """Key type, always `OKP`."""
    crv: Literal["Ed25519"]
    """Curve, always `Ed25519`."""
    use: Literal["sig"]
    """Always `sig`: the key verifies signatures."""
    kid: str
    """Id of the key: the first 16 characters of `x`."""
    x: str
    """The public key, base64url without padding."""


@described
class PublicKeysView(TypedDict):
    """Public keys in two forms."""

    keys: list[JsonWebKey]
    """The public keys as a JSON Web Key Set."""
    public_keys: list[str]
    """The same keys as Standard Webhooks writes them: `whpk_` and base64."""
