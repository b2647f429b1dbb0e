"""Replacement of a text that callers must not see, in what fal sent."""

from typing import Any


def replaced(value: Any, text: str, by: str) -> Any:
    """Return a JSON value with another text in each string and each name of a field."""
    match value:
        case str():
            return value.replace(text, by)
        case dict():
            return {replaced(name, text, by): replaced(part, text, by) for name, part in value.items()}
        case list() | tuple():
            return [replaced(part, text, by) for part in value]
    return value
