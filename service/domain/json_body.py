"""JSON bodies: from bytes to a validated value."""

from codecs import BOM_UTF8
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from service.domain.faults import faults_of

Body = TypeVar("Body")


def parse(adapter: TypeAdapter[Body], body: bytes) -> Body:
    """Validate JSON bytes, with or without a byte order mark.

    Raises Malformed or Invalid, in the terms of this API instead of pydantic's.
    """
    try:
        return adapter.validator.validate_json(body.removeprefix(BOM_UTF8))  # type: ignore[no-any-return]
    except ValidationError as error:
        raise faults_of(error) from None


def decode(body: bytes) -> Any:
    """Return the value of a body that ``parse`` found to be JSON."""
    return from_json(body.removeprefix(BOM_UTF8))
