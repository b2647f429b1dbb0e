"""What fal publishes about an endpoint: its input fields, and the names of its outputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class PublishedField:
    """An input field. None: fal's schema does not say."""

    type: str | None
    """Of JSON Schema: ``string``, ``integer``, ``boolean``, ``array``, ..."""
    required: bool = False
    default: Any = None
    values: tuple[str, ...] | None = None
    least: int | None = None
    most: int | None = None
    most_items: int | None = None


@dataclass(frozen=True, slots=True)
class PublishedSchema:
    fields: Mapping[str, PublishedField]
    outputs: frozenset[str] | None
    """None: fal's document has no schema of the result."""
