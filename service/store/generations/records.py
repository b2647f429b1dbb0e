"""Versions of a generation's record: it is written with its own, and what an older release wrote is read as if newer.

A field that is added with a default needs none of this. One that is renamed, or means something else, gets a step in
MIGRATIONS; releases before it cannot read what is written since, so they are stopped before it is started.
"""

from collections.abc import Callable
from typing import Any, Final

from pydantic_core import from_json, to_json

from service.errors import Unavailable

Fields = dict[str, Any]


def _numbered(fields: Fields) -> Fields:
    """Version 0 had no number."""
    return fields


#: The n-th makes a record of version n one of version n + 1.
MIGRATIONS: Final[tuple[Callable[[Fields], Fields], ...]] = (_numbered,)
VERSION: Final = len(MIGRATIONS)
_FIELD: Final = "record"
_STAMP: Final = f'{{"{_FIELD}":{VERSION},'.encode()


def stamped(record: bytes) -> bytes:
    """A JSON object that has fields, with its version in front."""
    return _STAMP + record[1:]


def migrated(record: bytes) -> bytes:
    """A record as this release writes it; raises Unavailable where a newer one wrote it."""
    if record.startswith(_STAMP):
        return record
    fields = from_json(record)
    version = fields.pop(_FIELD, 0)
    if version > VERSION:
        raise Unavailable(f"A newer release wrote this: its record is of version {version}, known is {VERSION}.")
    for migrate in MIGRATIONS[version:]:
        fields = migrate(fields)
    return stamped(to_json(fields))
