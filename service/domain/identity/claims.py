"""Claims of a token by name or by JSON pointer (RFC 6901), as texts."""

from collections.abc import Mapping
from typing import Any


def texts_of(claims: Mapping[str, Any], name: str) -> list[str]:
    """Return the values of a claim, or of the items of a list, as JSON writes them: 7, true."""
    found = _claim(claims, name)
    values = found if isinstance(found, list) else [found]
    return [text for value in values if (text := _text(value)) is not None]


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    if not name.startswith("/"):
        return claims.get(name)
    value: Any = claims
    for part in name[1:].split("/"):
        if not isinstance(value, dict):
            return None
        value = value.get(part.replace("~1", "/").replace("~0", "~"))
    return value


def _text(value: object) -> str | None:
    """Return a claim as text; None: it is none, or has members."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | str) else None
