"""A generation's record in Redis: JSON with the version of its format, so that a newer release reads older records.

A new field with a default needs no new version. A field that is renamed, or changes its meaning, needs a step in
MIGRATIONS. Older releases cannot read what is written then: they are stopped before the newer release is started.
"""

from collections.abc import Callable
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from service.domain.generation import Generation, idempotency_digest
from service.errors import Unavailable

Fields = dict[str, Any]


def _numbered(fields: Fields) -> Fields:
    """Version 0 had no number."""
    return fields


def _idempotency_key_hashed(fields: Fields) -> Fields:
    """Version 1 had the caller's idempotency key as it was sent."""
    key = fields.pop("idempotency_key", None)
    return fields if key is None else {**fields, "idempotency_digest": idempotency_digest(key)}


#: The n-th turns a record of version n into one of version n + 1.
MIGRATIONS: Final[tuple[Callable[[Fields], Fields], ...]] = (_numbered, _idempotency_key_hashed)
VERSION: Final = len(MIGRATIONS)
_RECORD: Final = TypeAdapter(Generation)
_FIELD: Final = "record"
_STAMP: Final = f'{{"{_FIELD}":{VERSION},'.encode()


def dump(generation: Generation) -> bytes:
    """The record of a generation."""
    return stamped(_RECORD.serializer.to_json(generation, exclude_defaults=True))


def load(record: bytes) -> Generation:
    """The generation of a record.

    Raises:
        Unavailable: a newer release wrote the record.

    """
    return _RECORD.validate_json(migrated(record))


def stamped(record: bytes) -> bytes:
    """Put the version in front of the fields of a JSON object that has some."""
    return _STAMP + record[1:]


def migrated(record: bytes) -> bytes:
    """Return a record in the format of this release.

    Raises:
        Unavailable: a newer release wrote the record.

    """
    if record.startswith(_STAMP):
        return record
    fields = from_json(record)
    version = fields.pop(_FIELD, 0)
    if version > VERSION:
        raise Unavailable(
            f"A newer release wrote this record, in version {version}; this release reads up to {VERSION}."
        )
    for migrate in MIGRATIONS[version:]:
        fields = migrate(fields)
    return stamped(to_json(fields))
