"""Shapes of answers that are no domain view, for the OpenAPI document; requests that are not the tenant's create."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter
from typing_extensions import TypedDict

from service.domain.request import CreateGeneration
from service.domain.tenant import Scope
from service.domain.view import GenerationView


class ProblemField(TypedDict):
    pointer: str
    detail: str
    type: str


class Problem(BaseModel):
    """RFC 9457 problem document."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    retryable: bool
    request_id: str
    errors: list[ProblemField] | None = None


class GenerationList(TypedDict):
    object: Literal["list"]
    data: list[GenerationView]
    has_more: bool
    next_cursor: str | None


class UploadView(TypedDict):
    object: Literal["upload"]
    url: str
    content_type: str
    size: int


class TenantView(TypedDict):
    id: str
    object: Literal["tenant"]
    name: str
    suspended: bool
    created_at: str
    webhook_secret: str | None


class TenantList(TypedDict):
    object: Literal["list"]
    data: list[TenantView]


class ApiKeyView(TypedDict):
    id: str
    object: Literal["api_key"]
    tenant_id: str
    name: str
    scopes: list[str]
    key: str
    created_at: str


class NewTenant(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    name: Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]


class NewApiKey(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=100)] = ""
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)] = tuple(Scope)


NEW_TENANT: Final = TypeAdapter(NewTenant)
NEW_API_KEY: Final = TypeAdapter(NewApiKey)


#: Where the document keeps what a schema refers to; ``openapi`` moves it there.
SCHEMA_REFERENCE: Final = "#/components/schemas/{model}"


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """The ``requestBody`` of a route that validates its own bytes."""
    schema = model.model_json_schema(mode="validation", ref_template=SCHEMA_REFERENCE)
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


CREATE_BODY: Final = body_of(CreateGeneration)

_TITLES: Final = {
    400: "Malformed body",
    401: "No key, or not a good one",
    402: "Too expensive",
    403: "Not allowed",
    404: "Unknown, or not yours",
    408: "The body came too slowly",
    409: "Already ended",
    413: "Body too large",
    415: "Wrong content type",
    422: "A field is wrong; `errors` says which",
    503: "Try again after `Retry-After`; nothing was changed",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses for these problem documents."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": _TITLES[status], "content": content} for status in statuses}
