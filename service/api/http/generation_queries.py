"""Query parameters of lists of generations that several routes have: metadata, fal's request id, the error code."""

from typing import Annotated, Final

from fastapi import Query, Request

from service.api.http.queries import object_parameter
from service.domain.billing import REQUEST_ID
from service.domain.failure import ErrorCode
from service.domain.field_types import METADATA_KEY_LENGTH, METADATA_PAIRS, METADATA_VALUE_LENGTH
from service.errors import FieldError, Invalid

METADATA: Final = {
    "name": "metadata",
    "in": "query",
    "style": "deepObject",
    "explode": True,
    "schema": {
        "type": "object",
        "maxProperties": METADATA_PAIRS,
        "additionalProperties": {"type": "string", "maxLength": METADATA_VALUE_LENGTH},
        "examples": [{"order": "4711"}],
    },
    "description": "Only generations with these pairs of metadata: `metadata[order]=4711`. Names and values are "
    "compared as they are. Default: all.",
}

FalRequestId = Annotated[
    str | None, Query(pattern=f"^{REQUEST_ID}$", description="Only the generation of this job of fal. Default: all.")
]
Code = Annotated[
    ErrorCode | None, Query(description="Only generations that failed with this error code. Default: all.")
]


def metadata_of(request: Request) -> tuple[tuple[str, str], ...]:
    """Return the pairs of metadata that generations must have.

    Raises:
        Invalid: too many pairs, or one that no generation can have.

    """
    pairs = object_parameter(request, "metadata")
    if len(pairs) > METADATA_PAIRS:
        raise Invalid(FieldError("/query/metadata", f"must have at most {METADATA_PAIRS} pairs", "metadata_size"))
    for name, value in pairs:
        if len(name) > METADATA_KEY_LENGTH:
            text = f"names must have 1 to {METADATA_KEY_LENGTH} characters"
            raise Invalid(FieldError("/query/metadata", text, "metadata_key"))
        if len(value) > METADATA_VALUE_LENGTH:
            text = f"values must have at most {METADATA_VALUE_LENGTH} characters"
            raise Invalid(FieldError("/query/metadata", text, "metadata_value"))
    return tuple(pairs)
