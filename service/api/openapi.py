"""The OpenAPI document: what FastAPI derives from the routes, and what it cannot know."""

from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.api.schemas import SCHEMA_REFERENCE, Problem

_DESCRIPTION: Final = """\
Queue Seedance 2.0 image-to-video generations with your own key, budget and end users.

Errors are RFC 9457 problem documents with a stable `code`. Every answer carries `X-Request-Id` and `Server-Timing`.
"""
_SECURITY: Final = {
    "apiKey": {"type": "http", "scheme": "bearer", "description": "A tenant's key, `sgk_…`."},
    "adminToken": {"type": "http", "scheme": "bearer", "description": "`GATEWAY_ADMIN_TOKEN`."},
    "falSignature": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Fal-Webhook-Signature",
        "description": "Ed25519, with `-Request-Id`, `-User-Id` and `-Timestamp` beside it; only fal can make one.",
    },
    "falKey": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`Key sgk_…`: a tenant's key, as fal's clients send theirs.",
    },
    "uploadTicket": {
        "type": "apiKey",
        "in": "query",
        "name": "ticket",
        "description": "Sealed into the `upload_url` that a client was given; good for a quarter of an hour.",
    },
}
_GUARDED: Final = (
    ("/v1/", "apiKey"),
    ("/admin/", "adminToken"),
    ("/callbacks/", "falSignature"),
    ("/fal/upload", "uploadTicket"),
    *((f"/fal/{part}", "falKey") for part in ("queue", "run", "rest", "proxy")),
)


def describe(app: FastAPI) -> None:
    """Make ``app.openapi()`` answer the whole document; it is made once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title="Seedance Gateway",
        version=version("seedance-gateway"),
        description=_DESCRIPTION,
        routes=app.routes,
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = Problem.model_json_schema(ref_template=SCHEMA_REFERENCE)
    schemas.update(schemas["Problem"].pop("$defs", {}))
    for unused in ("HTTPValidationError", "ValidationError"):  # ours is a Problem
        schemas.pop(unused, None)
    components["securitySchemes"] = _SECURITY
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _mend(path, operation)
            for content in operation.get("requestBody", {}).get("content", {}).values():
                schemas.update(content["schema"].pop("$defs", {}))
    return document


def _mend(path: str, operation: dict[str, Any]) -> None:
    content = operation["responses"].get("422", {}).get("content", {})
    if "application/json" in content:  # FastAPI's own idea of a validation error
        del operation["responses"]["422"]
    for prefix, scheme in _GUARDED:
        if path.startswith(prefix):
            operation["security"] = [{scheme: []}]
