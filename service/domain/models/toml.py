"""TOML of values, as a line for a file of models. Texts may come from fal: they are printable, and not long."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

Value = str | bool | int | float | Sequence[str] | Sequence[int] | None

_NAME: Final = re.compile(r"[a-z][a-z_]{0,63}")
_LONGEST: Final = 64
_MOST_VALUES: Final = 64


def is_name(text: str) -> bool:
    """Return whether a file of models can have a field of this name."""
    return _NAME.fullmatch(text) is not None


def toml(value: Value | Mapping[str, Value]) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case str() | None:
            escaped = quote(value or "").replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}"'
        case Mapping():
            return f"{{ {', '.join(f'{key} = {toml(inner)}' for key, inner in value.items())} }}"
    return f"[{', '.join(map(toml, value[:_MOST_VALUES]))}{', ...' if len(value) > _MOST_VALUES else ''}]"


def quote(text: str) -> str:
    """Return a text in one line of bounded length."""
    printable = "".join(each if each.isprintable() else "?" for each in text[:_LONGEST])
    return printable if len(text) <= _LONGEST else f"{printable}..."
