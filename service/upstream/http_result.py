"""Raw result of a call to fal, before ``messages`` interprets it."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

#: Levels of nesting. pydantic reads at most 200; fal's responses have five.
_DEEPEST: Final = 64


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A complete response. ``body`` is the parsed JSON, or None if it is not JSON."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class NoHttpResponse:
    """No response. ``sent`` is False only if it is proved that no byte of the request left."""

    sent: bool
    reason: str
    cause: str = field(default="", compare=False)
    """In plain words, for operators."""

    @property
    def explained(self) -> str:
        """Reason and cause."""
        return f"{self.reason}: {self.cause}" if self.cause not in ("", self.reason) else self.reason


Wire = HttpResponse | NoHttpResponse


def read_response(status: int, headers: Mapping[str, str], content: bytes) -> HttpResponse:
    try:
        text = content.decode("utf-8-sig", errors="replace")  # from bytes, json would accept raw surrogates and UTF-16
        body = json.loads(text, parse_constant=lambda _: None, parse_float=_finite)  # only Python accepts NaN as JSON
        if "\\ud" in text.lower():  # a lone surrogate can be read but not stored
            body = json.loads(json.dumps(body, ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError):
        body = None
    return HttpResponse(status, headers, None if _is_too_deep(body) else body)


def _is_too_deep(body: Any) -> bool:
    """Return whether the body is nested too deeply to be stored and read again."""
    level = [body]
    for _ in range(_DEEPEST):
        level = [
            inner
            for value in level
            if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return False
    return True


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None
