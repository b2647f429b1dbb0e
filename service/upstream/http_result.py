"""What comes back from a call to fal, before anybody has read a meaning into it."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

#: Levels of nesting; pydantic reads no more than 200 of them, and fal's answers have five.
_DEEPEST: Final = 64


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An answer, whole. ``body`` is the parsed JSON, None when it was none."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class NoHttpResponse:
    """No answer. ``sent`` is False only where it is proved that no byte of the request left."""

    sent: bool
    reason: str


Wire = HttpResponse | NoHttpResponse


def read_response(status: int, headers: Mapping[str, str], content: bytes) -> HttpResponse:
    try:
        text = content.decode("utf-8-sig", errors="replace")  # given bytes, json lets raw surrogates and UTF-16 in
        body = json.loads(text, parse_constant=lambda _: None, parse_float=_finite)  # NaN is JSON to Python alone
        if "\\ud" in text.lower():  # a lone surrogate can be read, but never written down
            body = json.loads(json.dumps(body, ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError):
        body = None
    return HttpResponse(status, headers, None if _is_too_deep(body) else body)


def _is_too_deep(body: Any) -> bool:
    """Deeper than a record could be written and read again with it."""
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
