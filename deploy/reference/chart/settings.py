"""JSON schema of ``settings``: the variables ``GATEWAY_*``, so that Helm refuses a misspelt name and a wrong value."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from pydantic import TypeAdapter

from service.config.secret_files import is_secret
from service.config.settings import PREFIX, Settings

Schema = dict[str, Any]
_BOUNDS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
#: Bounds of a duration, which pydantic writes as ISO 8601.
_DURATION_BOUNDS: Final = {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum"}
#: The form of a text where numbers, switches or JSON are meant: all variables may be written as text.
_TEXT: Final = {
    "integer": r"^\s*[0-9]+\s*$",
    "number": r"^\s*[0-9.]+\s*$",
    "boolean": r"^([Tt]rue|[Ff]alse|[Oo]n|[Oo]ff|[Yy]es|[Nn]o|[01])$",
    "array": r"^\s*\[",
    "object": r"^\s*\{",
    "duration": r"^\s*([0-9.]+|[+]?P.+)\s*$",
}
#: Secrets with a password only. Without one, they may be plain settings.
_PROXIES: Final = frozenset({"fal_proxy_url", "media_proxy_url"})
#: Rules that are code in the settings, and that the chart relies on: Ingresses have this host and path.
_PATTERNS: Final = {"public_url": r"^https?://[^/?#@\s]+(/[A-Za-z0-9._~-]+)*/?$"}
#: What the probes, the ports and the policies of the chart rely on.
FIXED: Final = {"metrics_host": "0.0.0.0", "metrics_port": "9100"}  # noqa: S104 pods have no other address

#: Read by commands that a person runs, never by a pod.
COMMAND_LINE: Final = frozenset({"operator_token"})


def schema() -> Schema:
    described = Settings.model_json_schema()["properties"]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {PREFIX + name.upper(): _setting(name, found) for name, found in described.items()},
    }


def secrets() -> set[str]:
    """Return the names of the settings that pods read from the Secret."""
    return {name for name, field in Settings.model_fields.items() if is_secret(field)} - COMMAND_LINE


def _setting(name: str, described: Schema) -> Schema:
    """Return the schema of one variable. A message of Helm quotes ``const``, so it is what the message says."""
    variable = PREFIX + name.upper()
    if name in secrets() - _PROXIES:
        return {"const": f"(unset: {variable} belongs to the Secret that secrets.existingSecret names)"}
    if name in COMMAND_LINE:
        return {"const": f"(unset: {variable} is for the command line)"}
    if name in FIXED:
        return {"const": f"(unset: the chart sets {variable} to {FIXED[name]})"}
    found = {"description": described.get("description", ""), **_accepted(described)}
    if name in _PATTERNS:
        found["pattern"] = _PATTERNS[name]
    if name in _PROXIES:
        found["not"] = {"pattern": "@"}  # Helm's message does not quote the value
        found["description"] += " With a password: in the Secret."
    return found


def _accepted(described: Schema) -> Schema:
    kinds = described.get("anyOf", [described])
    types = {kind["type"] for kind in kinds}
    found: Schema = {"type": sorted(types | {"string", "null"} | ({"number"} if _is_duration(kinds) else set()))}
    if text := _text(kinds):
        found["pattern"] = f"{text}|^[Nn]one$" if "null" in types else text
    for kind in kinds:
        found |= {key: kind[key] for key in _BOUNDS if key in kind}
        found |= {key: kind[key] for key in ("enum", "pattern") if key in kind}
        found |= {word: _seconds(kind[key]) for key, word in _DURATION_BOUNDS.items() if key in kind}
    return found | ({"enum": [*found["enum"], None]} if "enum" in found else {})


def _text(kinds: list[Schema]) -> str | None:
    """Return the pattern of a value as text. Text next to a number is how pydantic describes a Decimal."""
    types = {kind["type"] for kind in kinds} - {"null"}
    if _is_duration(kinds):
        return _TEXT["duration"]
    (only,) = types - {"string"} if "number" in types else types
    return _TEXT.get(only)


def _is_duration(kinds: Iterable[Schema]) -> bool:
    return any(kind.get("format") == "duration" for kind in kinds)


def _seconds(text: str) -> float:
    seconds: timedelta = TypeAdapter(timedelta).validate_python(text)
    return seconds.total_seconds()
