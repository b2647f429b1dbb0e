"""The reason that a person gives for an act: bounded, without white space around it."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter

from service.domain.described import describe

LONGEST_REASON: Final = 500

Text = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_REASON, strip_whitespace=True)]


class Reason(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", json_schema_extra=describe)

    reason: Text
    """Why, 1 to 500 characters. `doctor` and `GET /admin/v1/dispatch` show it."""


class TenantReason(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", json_schema_extra=describe)

    reason: Text
    """Why, 1 to 500 characters. Operators read it, and the tenant itself in `GET /v1/me`."""


class SuspensionReason(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", json_schema_extra=describe)

    reason: Text | None = None
    """Why, 1 to 500 characters. Operators read it, and the tenant itself in `GET /v1/me` and in the 403 of its
    requests. Default: none.
    """


class BlockReason(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", json_schema_extra=describe)

    reason: Text | None = None
    """Why, 1 to 500 characters, for your own records: `GET /v1/end-users/{end_user_id}` shows it. It is deleted with
    the block and with an erasure. Default: none, and the reason of an earlier block stays.
    """


class ActReason(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", json_schema_extra=describe)

    reason: Text
    """Why, 1 to 500 characters, for operators."""


REASON: Final = TypeAdapter(Reason)
ACT_REASON: Final = TypeAdapter(ActReason)
TENANT_REASON: Final = TypeAdapter(TenantReason)
SUSPENSION_REASON: Final = TypeAdapter(SuspensionReason)
