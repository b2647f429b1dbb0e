"""Headers of answers: each described once, and named wherever it may be."""

from typing import Any, Final

_TEXT: Final = {"type": "string"}


def _header(description: str, schema: dict[str, Any], example: Any, *, always: bool = False) -> dict[str, Any]:
    return {"description": description, "schema": schema, "example": example, "required": always}


COMPONENTS: Final[dict[str, Any]] = {
    "X-Request-Id": _header(
        "The caller's own, where it sent a sane one; it finds the call in the logs.",
        {**_TEXT, "pattern": "^[A-Za-z0-9._:-]{1,128}$"},
        "5f2b9c1e8d7a4f60b3c2d1e0f9a8b7c6",
        always=True,
    ),
    "Server-Timing": _header(
        "Milliseconds in the gateway up to the answer's beginning.",
        {**_TEXT, "pattern": "^gw;dur=[0-9.]+$"},
        "gw;dur=3.25",
        always=True,
    ),
    "RateLimit-Policy": _header("Calls a minute, where there is a limit.", _TEXT, '"calls";q=600;w=60'),
    "RateLimit": _header(
        "Calls left, and the seconds until all are back, where there is a limit.", _TEXT, '"calls";r=599;t=1'
    ),
    "Retry-After": _header("Seconds after which a repeat makes sense.", {"type": "integer", "minimum": 0}, 2),
    "WWW-Authenticate": _header("How to authenticate.", _TEXT, 'Bearer realm="seedance-gateway"'),
    "Allow": _header("Methods that this path has.", _TEXT, "GET, POST"),
    "Location": _header("Where to read what was made.", _TEXT, "/v1/generations/gen_06h082scz25ryjeftj3rgxs6f8"),
    "Idempotency-Replayed": _header(
        "`true`: the key was known; this is the first generation.", {"const": "true"}, "true"
    ),
    "Preference-Applied": _header("The `wait` that was granted.", _TEXT, "wait=30"),
    "ETag": _header("The version, for `If-Match`.", _TEXT, '"3"'),
    "X-Fal-Request-Id": _header(
        "Of the request; else of this call.", _TEXT, "gen_06h082scz25ryjeftj3rgxs6f8", always=True
    ),
}
_ALWAYS: Final = ("X-Request-Id", "Server-Timing")
_RATED: Final = ("RateLimit-Policy", "RateLimit")
_BY_STATUS: Final = {"401": ("WWW-Authenticate",), "405": ("Allow",), "429": ("Retry-After",), "503": ("Retry-After",)}
_LOCATED: Final = frozenset({"webhook_endpoints_create", "webhook_endpoints_test"})
_TENANT: Final = "#/components/schemas/TenantView"


def references(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def of_refusal(status: str) -> dict[str, Any]:
    """Of a problem document."""
    return references(*_ALWAYS, *_RATED, *_BY_STATUS.get(status, ()))


def of_fals_refusal(status: str) -> dict[str, Any]:
    told = () if status == "401" else _BY_STATUS.get(status, ())
    return references(*_ALWAYS, *_RATED, "X-Fal-Request-Id", *told)


def attach(path: str, operation: dict[str, Any]) -> None:
    for status, answer in operation["responses"].items():
        if "$ref" not in answer:
            names = (*_ALWAYS, *_own(operation, status, answer))
            if path.startswith("/v1/"):
                names += _RATED
            if path.startswith("/fal/"):
                names += (*_RATED, "X-Fal-Request-Id")
            answer.setdefault("headers", {}).update(references(*names))


def _own(operation: dict[str, Any], status: str, answer: dict[str, Any]) -> tuple[str, ...]:
    name = operation["operationId"]
    if name == "generations_create" and status == "202":
        return ("Location", "Idempotency-Replayed", "Preference-Applied")
    if name in _LOCATED and status in ("201", "202"):
        return ("Location",)
    schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    return ("ETag",) if schema.get("$ref") == _TENANT else ()
