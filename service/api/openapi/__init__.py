"""The OpenAPI document: FastAPI's, completed with errors, headers, examples, callers and webhooks."""

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from service.api.openapi import (
    descriptions,
    enumerations,
    examples,
    headers,
    model_requests,
    parameters,
    problems,
    security,
    signatures,
    webhooks,
)
from service.api.schemas import SCHEMA_REFERENCE
from service.build_info import version

_DESCRIPTION: Final = """\
Queue Seedance 2.0 image-to-video generations with your own key, budget and end users.

**Begin**: `POST /v1/generations` returns 202 with an id. Then poll `GET /v1/generations/{generation_id}`, follow its \
`/events`, or register a webhook endpoint. A generation takes one to five minutes.

**Cost**: a create holds the highest possible price. With the defaults (`720p`, `auto`) that is up to 4.58 USD; `480p` \
and 5 seconds cost up to 0.71 USD. `max_cost_usd` refuses what is dearer.

**Errors** are RFC 9457 problem documents with a stable `code`; below `/fal`, `/openai`, `/openrouter` and `/vercel` \
they have the form of that API. `retryable` says \
whether the same request may succeed later. A method that a path does not have is 405 with `Allow`, a method that does \
not exist is 501, a path that does not exist is 404, and a 500 is an error of the gateway. Unknown and repeated query \
parameters are 422, except below `/fal`.

**HTTP**: every GET has a HEAD, except event streams. Bodies of requests have no `Content-Encoding`. JSON of \
8 KiB to 1 MiB in responses to GET is compressed if `Accept-Encoding` allows gzip.

**Headers**: every response has `X-Request-Id` and `Server-Timing`, and `RateLimit` if your tenant has a rate limit.

Fields may be added to responses; ignore unknown ones. Times are RFC 3339, money is a decimal string in US dollars.
"""
_TAGS: Final = {
    "generations": "One request for one video: create, read, follow, list, cancel.",
    "models": "The models that you may name as `model`.",
    "uploads": "Upload an image; use its URL as `image_url` or `end_image_url`.",
    "end users": "Your own customers. fal receives pseudonyms only.",
    "usage": "Money and counts by day and end user.",
    "webhooks": "Webhook endpoints and their delivery history.",
    "fal": "The API of fal, for the official fal clients with another host and key.",
    "vercel": "The video calls of the AI SDK's gateway provider, with another base URL and key.",
    "openai": "OpenAI's API of videos, for programs with OpenAI's SDK, another base URL and key.",
    "openrouter": "OpenRouter's API of videos, for its clients with another base URL and key.",
    "admin": "For operators: tenants, keys, dispatch, unconfirmed submits, audit.",
    "webhook events": "What the gateway sends to your webhook endpoints.",
    "callbacks": "For fal only.",
    "operations": "Health checks and metrics.",
}
_SERVER: Final = "The gateway that this document was fetched from"
_METHODS: Final = frozenset({"get", "put", "post", "delete", "options", "patch"})
#: FastAPI's error schemas. The gateway responds with problem documents.
_UNUSED: Final = ("HTTPValidationError", "ValidationError")


def describe(app: FastAPI, *, path_prefix: str = "") -> None:
    """Make ``app.openapi()`` answer the whole document; it is made once. ``path_prefix``: in front of each path."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, server=path_prefix or "/")
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def _document(app: FastAPI, *, server: str) -> dict[str, Any]:
    for route in app.routes:
        if isinstance(route, APIRoute):
            route.operation_id = route.name  # the name of its function
            signatures.complete(route)
    document = get_openapi(
        title="Seedance Gateway",
        version=version(),
        description=_DESCRIPTION,
        routes=app.routes,
        tags=[{"name": name, "description": text} for name, text in _TAGS.items()],
        servers=[{"url": server, "description": _SERVER}],
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for unused in _UNUSED:
        schemas.pop(unused, None)
    document["webhooks"] = webhooks.section(schemas)
    for path, method, operation in _operations(document["paths"]):
        operation.setdefault("security", security.of(path, method))
        parameters.describe(operation)
        descriptions.complete_results(operation)
        descriptions.name_callers(operation)
        problems.refer(path, operation)
        headers.attach(path, operation)
    for _, _, operation in _operations({**document["paths"], **document["webhooks"]}):
        _name_body(operation, schemas)
        examples.attach(operation)
    named = model_requests.add(schemas)
    responses = problems.components(schemas)
    descriptions.complete_schemas(schemas)
    document["components"] |= {
        "securitySchemes": security.SCHEMES,
        "headers": headers.COMPONENTS,
        "examples": examples.COMPONENTS,
        "responses": responses,
    }
    enumerations.complete(document, named)
    return document


def _operations(items: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in items.items():
        yield from ((path, method, operation) for method, operation in item.items() if method in _METHODS)


def _name_body(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Move the schema of a body that its route validates itself to the named schemas."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        schema = content["schema"]
        schemas.update(schema.pop("$defs", {}))
        if name := schema.get("title"):
            schemas[name] = schema
            content["schema"] = {"$ref": SCHEMA_REFERENCE.format(model=name)}
