"""Response headers: each described once, and referenced by every response that may have it."""

from typing import Any, Final

_TEXT: Final = {"type": "string"}


def _header(description: str, schema: dict[str, Any], example: Any, *, always: bool = False) -> dict[str, Any]:
    return {"description": description, "schema": schema, "example": example, "required": always}


COMPONENTS: Final[dict[str, Any]] = {
    "X-Request-Id": _header(
        "Your `X-Request-Id` if it has 1 to 128 of the allowed characters, otherwise a generated one. Quote "
        "it to support.",
        {**_TEXT, "pattern": "^[A-Za-z0-9._:-]{1,128}$"},
        "5f2b9c1e8d7a4f60b3c2d1e0f9a8b7c6",
        always=True,
    ),
    "Server-Timing": _header(
        "Milliseconds from the request to the first byte of the response.",
        {**_TEXT, "pattern": "^gw;dur=[0-9.]+$"},
        "gw;dur=3.25",
        always=True,
    ),
    "RateLimit-Policy": _header(
        "Requests a minute (`q` in `w` seconds). Present if the tenant has a limit, and on `reads` below `/fal`.",
        _TEXT,
        '"calls";q=600;w=60',
    ),
    "RateLimit": _header(
        "Requests left (`r`), and seconds until all are available again (`t`). Present if the tenant has a limit.",
        _TEXT,
        '"calls";r=599;t=1',
    ),
    "Retry-After": _header("Seconds to wait before the request is sent again.", {"type": "integer", "minimum": 0}, 2),
    "WWW-Authenticate": _header("How to authenticate.", _TEXT, 'Bearer realm="seedance-gateway"'),
    "Accept-Encoding": _header("Encodings of a body that are accepted: none.", {"const": "identity"}, "identity"),
    "Content-Range": _header("Size of the whole file.", {**_TEXT, "pattern": "^bytes \\*/[0-9]+$"}, "bytes */2097152"),
    "Allow": _header("Methods of this path.", _TEXT, "GET, POST"),
    "Location": _header("Path of the created object.", _TEXT, "/v1/generations/gen_06h082scz25ryjeftj3rgxs6f8"),
    "Idempotency-Replayed": _header(
        "`true`: the idempotency key was used before. The response is the generation of the first request, "
        "and nothing was created.",
        {**_TEXT, "const": "true"},
        "true",
    ),
    "Preference-Applied": _header(
        "Seconds of `Prefer: wait` that were applied. Absent: the response did not wait, because too many "
        "requests of the tenant wait.",
        _TEXT,
        "wait=30",
    ),
    "ETag": _header(
        "Version of the object, for `If-Match` or `If-None-Match`. A generation has one when it has ended.",
        _TEXT,
        '"3"',
    ),
    "openai-poll-after-ms": _header(
        "Milliseconds until the next poll. Absent when the video job has ended.", {"type": "integer"}, 2000
    ),
    "X-Fal-Request-Id": _header(
        "Id of the generation; if there is none, id of this HTTP request.",
        _TEXT,
        "gen_06h082scz25ryjeftj3rgxs6f8",
        always=True,
    ),
}
_ALWAYS: Final = ("X-Request-Id", "Server-Timing")
_RATED: Final = ("RateLimit-Policy", "RateLimit")
_BY_STATUS: Final = {
    "401": ("WWW-Authenticate",),
    "405": ("Allow",),
    "415": ("Accept-Encoding",),
    "409": ("Retry-After",),
    "416": ("Content-Range",),
    "429": ("Retry-After",),
    "503": ("Retry-After",),
}
_LOCATED: Final = frozenset({"create_webhook_endpoint", "send_test_event"})
_POLLED: Final = {"create_openai_video": ("Idempotency-Replayed",), "read_openai_video": ()}
_VERSIONED: Final = frozenset(
    f"#/components/schemas/{name}" for name in ("TenantView", "EndpointView", "NewEndpointView")
)


def references(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def of_refusal(status: str) -> dict[str, Any]:
    """Return the headers of an error, a problem document or in the form of a dialect."""
    return references(*_ALWAYS, *_RATED, *_BY_STATUS.get(status, ()))


def of_fals_refusal(status: str) -> dict[str, Any]:
    return references(*_ALWAYS, *_RATED, "X-Fal-Request-Id", *_BY_STATUS.get(status, ()))


def attach(path: str, operation: dict[str, Any]) -> None:
    for status, answer in operation["responses"].items():
        if "$ref" not in answer:
            names = (*_ALWAYS, *_own(operation, status, answer))
            if path.startswith(("/v1/", "/openai/", "/openrouter/", "/vercel/")):
                names += _RATED
            if path.startswith("/fal/"):
                names += (*_RATED, "X-Fal-Request-Id")
            answer.setdefault("headers", {}).update(references(*names))


def _own(operation: dict[str, Any], status: str, answer: dict[str, Any]) -> tuple[str, ...]:
    name = operation["operationId"]
    if name == "create_generation" and status == "202":
        return ("Location", "Idempotency-Replayed", "Preference-Applied")
    if name == "start_vercel_video" and status == "200":
        return ("Idempotency-Replayed",)
    if name == "create_openrouter_video" and status == "202":
        return ("Idempotency-Replayed",)
    if name in _POLLED and status == "200":
        return ("openai-poll-after-ms", *_POLLED[name])
    if "304" in operation["responses"] and status in ("200", "206", "304"):
        return ("ETag",)
    located = ("Location",) if name in _LOCATED and status in ("201", "202") else ()
    schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    return (*located, "ETag") if schema.get("$ref") in _VERSIONED else located
