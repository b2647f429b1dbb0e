"""The document that ``/docs`` shows: the OpenAPI document without what a person does not call, and with short errors.

The whole document stays at ``/openapi.json``. Swagger UI draws every error response in full: a create alone took 7,500
pixels of twelve tables with the same headers.
"""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any, Final

from service.api.schemas import SCHEMA_REFERENCE

#: Routes for fal, and routes that only fal's JavaScript client calls.
_HIDDEN: Final = ("/callbacks/", "/fal/proxy", "/fal/rest/", "/fal/upload")
#: What a person can fill in. Routes below ``/fal`` accept the same key as a bearer token.
_SCHEMES: Final = ("apiKey", "adminToken")
_INSTEAD: Final = {"falKey": "apiKey"}
#: Described once in the introduction.
_EVERYWHERE: Final = frozenset({"X-Request-Id", "Server-Timing", "RateLimit-Policy", "RateLimit"})
_PROBLEM: Final = {
    "description": "Any error: a problem document. `code`, `detail` and `retryable` say what to do.",
    "content": {"application/problem+json": {"schema": {"$ref": SCHEMA_REFERENCE.format(model="Problem")}}},
}
_FAL_ERROR: Final = {
    "description": "Any error, in fal's form.",
    "content": {"application/json": {"schema": {"$ref": SCHEMA_REFERENCE.format(model="FalError")}}},
}


def people_document(document: dict[str, Any]) -> dict[str, Any]:
    """Return a copy for people."""
    shown = deepcopy(document)
    shown.pop("webhooks")
    shown["paths"] = {path: item for path, item in shown["paths"].items() if not path.startswith(_HIDDEN)}
    shown["tags"] = [tag for tag in shown["tags"] if tag["name"] in set(_tags(shown["paths"]))]
    shown["components"]["securitySchemes"] = {name: shown["components"]["securitySchemes"][name] for name in _SCHEMES}
    for path, item in shown["paths"].items():
        for operation in item.values():
            operation["security"] = [
                {_INSTEAD.get(scheme, scheme): scopes for scheme, scopes in way.items()}
                for way in operation["security"]
            ]
            _fold_errors(operation, fals=path.startswith("/fal/"))
    return shown


def _tags(paths: dict[str, Any]) -> Iterator[str]:
    for item in paths.values():
        for operation in item.values():
            yield from operation["tags"]


def _fold_errors(operation: dict[str, Any], *, fals: bool) -> None:
    responses = operation["responses"]
    operation["responses"] = {status: answer for status, answer in responses.items() if "$ref" not in answer}
    for answer in operation["responses"].values():
        for name in _EVERYWHERE.intersection(answer.get("headers", {})):
            del answer["headers"][name]
    operation["responses"]["default"] = {
        **(_FAL_ERROR if fals else _PROBLEM),
        "description": f"{(_FAL_ERROR if fals else _PROBLEM)['description']} "
        f"Statuses: {', '.join(sorted(set(responses) - set(operation['responses'])))}.",
    }
