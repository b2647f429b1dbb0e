"""Bodies and views of operators and their tokens."""

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict

from service.domain.actor import Actor
from service.domain.described import Timestamp, describe, described
from service.domain.field_types import DisplayName
from service.domain.generation_view import rfc3339
from service.domain.operator import Operator, OperatorToken, Role
from service.domain.timestamps import UtcMoment


class NewOperator(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra=describe)

    name: DisplayName
    """Name of the person or program, 1 to 100 characters. It is in each entry of the audit trail."""
    role: Role
    """`viewer` reads, `operator` also acts on generations, tenants and deliveries, `admin` may do everything."""


class OperatorChange(BaseModel):
    """Changes of an operator: absent fields stay unchanged."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=describe)

    name: DisplayName | None = None
    """New name, 1 to 100 characters. Absent: unchanged."""
    role: Role | None = None
    """New role. It acts at once. Absent: unchanged."""


class NewOperatorToken(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra=describe)

    name: Annotated[str, Field(max_length=100)] = ""
    """What the token is for, 100 characters at most. Default: empty."""
    expires_at: UtcMoment | None = None
    """When the token stops working (RFC 3339 with an offset). Default `null`: never."""


NEW_OPERATOR: Final = TypeAdapter(NewOperator)
OPERATOR_CHANGE: Final = TypeAdapter(OperatorChange)
NEW_TOKEN: Final = TypeAdapter(NewOperatorToken)


@described
class OperatorView(TypedDict):
    id: str
    """Id of the operator, `opr_` and 26 characters."""
    object: Literal["operator"]
    """Always `operator`."""
    name: str
    """Name of the operator."""
    role: str
    """`viewer`, `operator` or `admin`."""
    disabled_at: Timestamp | None
    """Since when its tokens and logins are refused. `null`: they are accepted."""
    version: int
    """Counts changes; the `ETag` for `If-Match`."""
    created_at: Timestamp
    """When it was created, RFC 3339 in UTC with milliseconds."""


@described
class OperatorList(TypedDict):
    object: Literal["list"]
    """Always `list`."""
    data: list[OperatorView]
    """Operators by id, oldest first, disabled ones included."""
    has_more: bool
    """Whether entries follow this page."""
    next_cursor: str | None
    """Send it as `cursor` to read the next page. `null` on the last page."""


@described
class OperatorTokenView(TypedDict):
    id: str
    """Id of the token: the part between its underscores. It is not secret."""
    object: Literal["operator_token"]
    """Always `operator_token`."""
    operator_id: str
    """The operator that the token belongs to."""
    name: str
    """What the token is for."""
    token: str | None
    """The whole token, `sgo_…`. Only the response of the create or the rotation shows it, later `null`."""
    created_at: Timestamp
    """When it was created, RFC 3339 in UTC with milliseconds."""
    expires_at: Timestamp | None
    """When it stops working. `null`: never."""
    revoked_at: Timestamp | None
    """When it was revoked. `null`: not revoked."""
    last_used_at: Timestamp | None
    """When it was last used, to the minute, RFC 3339 in UTC. `null`: never, or not in this response."""


@described
class OperatorTokenList(TypedDict):
    object: Literal["list"]
    """Always `list`."""
    data: list[OperatorTokenView]
    """All tokens of the operator, oldest first, revoked and expired ones included."""


@described
class OperatorSelfView(TypedDict):
    object: Literal["me"]
    """Always `me`."""
    kind: str
    """`operator`, or `break_glass`: the holder of the admin token, whose name is not known."""
    id: str | None
    """Id of the operator. `null`: the admin token."""
    name: str
    """Name of the operator."""
    role: str | None
    """`viewer`, `operator` or `admin`."""
    token_id: str | None
    """Id of the token of this call. `null`: the admin token."""
    token_expires_at: Timestamp | None
    """When the token stops working. `null`: never."""


def operator_view(operator: Operator) -> OperatorView:
    return {
        "id": operator.id,
        "object": "operator",
        "name": operator.name,
        "role": operator.role.value,
        "disabled_at": _moment(operator.disabled_at),
        "version": operator.version,
        "created_at": rfc3339(operator.created_at),
    }


def token_view(token: OperatorToken, *, text: str | None = None, last_used_at: str | None = None) -> OperatorTokenView:
    return {
        "id": token.id,
        "object": "operator_token",
        "operator_id": token.operator_id,
        "name": token.name,
        "token": text,
        "created_at": rfc3339(token.created_at),
        "expires_at": _moment(token.expires_at),
        "revoked_at": _moment(token.revoked_at),
        "last_used_at": last_used_at,
    }


def self_view(actor: Actor, token: OperatorToken | None) -> OperatorSelfView:
    return {
        "object": "me",
        "kind": actor.kind.value,
        "id": actor.id,
        "name": actor.name,
        "role": None if actor.role is None else actor.role.value,
        "token_id": actor.token_id,
        "token_expires_at": None if token is None else _moment(token.expires_at),
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
