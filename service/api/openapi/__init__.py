"""The OpenAPI document: what FastAPI derives from the routes, and what it cannot know."""

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from service.api.openapi import examples, headers, parameters, problems, security, webhooks
from service.api.schemas import SCHEMA_REFERENCE

_DESCRIPTION: Final = """\
Queue Seedance 2.0 image-to-video generations with your own key, budget and end users.

Errors are RFC 9457 problem documents with a stable `code`; below `/fal` they are fal's own. Every answer carries \
`X-Request-Id` and `Server-Timing`. A method that a path does not have is 405 with `Allow`, a path that does not exist \
is 404, and a 500 is our fault, always. Members may be added to answers: ignore what you do not know.
"""
_TAGS: Final = {
    "generations": "One request for one video: create, read, follow, list, cancel.",
    "uploads": "Images of yours, for `image_url` and `end_image_url`.",
    "end users": "Your own customers: fal knows them by pseudonyms only.",
    "usage": "Money and counts.",
    "webhooks": "Where you hear of your generations, what was sent there, and how that went.",
    "fal": "What the official fal clients call, with the host and the key changed and nothing else.",
    "admin": "For operators: tenants, keys, dispatch, submits of unknown outcome, audit.",
    "callbacks": "For fal alone.",
    "operations": "For probes and Prometheus.",
}
_SERVERS: Final = [{"url": "/", "description": "The gateway that this document was fetched from"}]
_METHODS: Final = frozenset({"get", "put", "post", "delete", "options", "patch"})
_PACKAGE: Final = "service.api."
#: FastAPI's, for which ours are problem documents.
_UNUSED: Final = ("HTTPValidationError", "ValidationError")


def describe(app: FastAPI) -> None:
    """Make ``app.openapi()`` answer the whole document; it is made once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def _document(app: FastAPI) -> dict[str, Any]:
    for route in app.routes:
        if isinstance(route, APIRoute):
            route.operation_id = _operation_id(route)
    document = get_openapi(
        title="Seedance Gateway",
        version=version("seedance-gateway"),
        description=_DESCRIPTION,
        routes=app.routes,
        tags=[{"name": name, "description": text} for name, text in _TAGS.items()],
        servers=_SERVERS,
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for unused in _UNUSED:
        schemas.pop(unused, None)
    document["webhooks"] = webhooks.section(schemas)
    for path, method, operation in _operations(document["paths"]):
        operation["security"] = security.of(path, method, operation["operationId"])
        parameters.describe(operation)
        problems.refer(path, operation)
        headers.attach(path, operation)
    for _, _, operation in _operations({**document["paths"], **document["webhooks"]}):
        _name_body(operation, schemas)
        examples.attach(operation)
    document["components"] |= {
        "securitySchemes": security.SCHEMES,
        "headers": headers.COMPONENTS,
        "examples": examples.COMPONENTS,
        "responses": problems.components(schemas),
    }
    return document


def _operations(items: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in items.items():
        yield from ((path, method, operation) for method, operation in item.items() if method in _METHODS)


def _operation_id(route: APIRoute) -> str:
    """From where it is in the code, so that it outlives a change of path: ``generations_create``."""
    module = route.endpoint.__module__.removeprefix(_PACKAGE).removeprefix("v1.").replace(".", "_")
    return f"{module}_{route.name.strip('_')}"


def _name_body(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """A body that its route validates itself brings its schema along; its place is with the others."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        schema = content["schema"]
        schemas.update(schema.pop("$defs", {}))
        if name := schema.get("title"):
            schemas[name] = schema
            content["schema"] = {"$ref": SCHEMA_REFERENCE.format(model=name)}
