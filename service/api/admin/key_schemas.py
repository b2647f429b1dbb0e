"""Bodies and views of API keys."""

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict

from service.domain.described import Timestamp, describe, described
from service.domain.generation_view import rfc3339
from service.domain.tenant import ApiKey, Scope
from service.domain.timestamps import UtcMoment

_LONGEST_OVERLAP: Final = 30 * 24 * 3600


class NewApiKey(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra=describe)

    name: Annotated[str, Field(max_length=100)] = ""
    """Name for people, 100 characters at most. Default: empty."""
    scopes: Annotated[list[Scope], Field(min_length=1)] = list(Scope)
    """What the key may do: `generate` creates, cancels and uploads, `read` reads, `manage` changes webhooks, secrets
    and end users. Default: all three.
    """
    expires_at: UtcMoment | None = None
    """When the key stops working (RFC 3339 with an offset). Default `null`: never."""


class Rotation(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", json_schema_extra=describe)

    overlap_seconds: Annotated[
        int,
        Field(
            ge=0,
            le=_LONGEST_OVERLAP,
            description="Seconds for which the old key still works, 0 to 2592000. Default 86400, one day.",
        ),
    ] = 24 * 3600


NEW_API_KEY: Final = TypeAdapter(NewApiKey)
ROTATION: Final = TypeAdapter(Rotation)


@described
class ApiKeyView(TypedDict):
    id: str
    """Id of the key: the part between its underscores. It is not secret."""
    object: Literal["api_key"]
    """Always `api_key`."""
    tenant_id: str
    """The tenant that the key belongs to."""
    name: str
    """Name of the key."""
    scopes: list[str]
    """What the key may do: `generate`, `read`, `manage`."""
    key: str | None
    """The whole key, `sgk_…`. Only the response of the create or the rotation shows it, later `null`."""
    created_at: Timestamp
    """When it was created, RFC 3339 in UTC with milliseconds."""
    expires_at: Timestamp | None
    """When it stops working. `null`: never."""
    revoked_at: Timestamp | None
    """When it was revoked. `null`: not revoked."""
    last_used_at: Timestamp | None
    """When it was last used, to the minute, RFC 3339 in UTC. `null`: never, or not in this response."""


@described
class ApiKeyList(TypedDict):
    object: Literal["list"]
    """Always `list`."""
    data: list[ApiKeyView]
    """All keys of the tenant, revoked and expired ones included."""


def key_view(key: ApiKey, *, text: str | None = None, last_used_at: str | None = None) -> ApiKeyView:
    return {
        "id": key.id,
        "object": "api_key",
        "tenant_id": key.tenant_id,
        "name": key.name,
        "scopes": [scope.value for scope in key.scopes],
        "key": text,
        "created_at": rfc3339(key.created_at),
        "expires_at": _moment(key.expires_at),
        "revoked_at": _moment(key.revoked_at),
        "last_used_at": last_used_at,
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
