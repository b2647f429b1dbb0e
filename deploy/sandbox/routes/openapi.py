"""fal.ai/api/openapi: the published schema of an endpoint, without a key.

Input and output are the endpoint's own; the paths around them are inferred from documents of the live service.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox import refusals
from sandbox.endpoints import DEFAULT, ENDPOINTS, Endpoint

FILE = {
    "title": "File",
    "type": "object",
    "properties": {
        "url": {"type": "string"},
        "content_type": {"type": "string"},
        "file_name": {"type": "string"},
        "file_size": {"type": "integer"},
    },
    "required": ["url"],
}
STATUS = {
    "title": "QueueStatus",
    "type": "object",
    "properties": {
        "status": {"type": "string", "enum": ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]},
        "request_id": {"type": "string"},
        "response_url": {"type": "string"},
        "status_url": {"type": "string"},
        "cancel_url": {"type": "string"},
        "queue_position": {"type": "integer"},
    },
    "required": ["status", "request_id"],
}

REQUEST_ID = {"parameters": [{"name": "request_id", "in": "path", "required": True, "schema": {"type": "string"}}]}


async def schema(request: Request) -> Response:
    name = request.query_params.get("endpoint_id", DEFAULT)
    endpoint = ENDPOINTS.get(name)
    return (
        refusals.json_error(404, "Endpoint not found") if endpoint is None else JSONResponse(document(name, endpoint))
    )


def document(name: str, endpoint: Endpoint) -> dict[str, Any]:
    requests = f"/{name}/requests/{{request_id}}"
    return {
        "openapi": "3.0.4",
        "info": {
            "title": f"Queue OpenAPI for {name}",
            "version": "1.0.0",
            "x-fal-metadata": {"endpointId": name, "category": name.rpartition("/")[2]},
        },
        "servers": [{"url": "https://queue.fal.run"}],
        "components": {
            "schemas": {"Input": _input(endpoint), "Output": _output(endpoint), "File": FILE, "QueueStatus": STATUS}
        },
        "paths": {
            f"/{name}": {"post": {"requestBody": {"required": True, **_json("Input")}, **_responds("QueueStatus")}},
            f"{requests}/status": {"get": _responds("QueueStatus"), **REQUEST_ID},
            f"{requests}/cancel": {"put": {"responses": {"202": {"description": "Cancel requested"}}}, **REQUEST_ID},
            requests: {"get": _responds("Output"), **REQUEST_ID},
        },
    }


def _input(endpoint: Endpoint) -> dict[str, Any]:
    generated = endpoint.schema.model_json_schema()
    properties = {name: _field(field) for name, field in generated["properties"].items()}
    order = {"x-fal-order-properties": list(properties)}
    required = {name: generated[name] for name in ("required",) if name in generated}  # an empty list is not valid
    return {"title": "Input", "type": "object", "properties": properties, **order, **required}


def _field(field: dict[str, Any]) -> dict[str, Any]:
    """Translate a field into OpenAPI 3.0, which has neither `null` nor `const`. An optional field is not required."""
    kinds = field.pop("anyOf", None)
    if kinds:
        field = {**field, **kinds[0]}
    if field.get("default", ...) is None:
        del field["default"]
    if "const" in field:
        field["enum"] = [field.pop("const")]
    return field


def _output(endpoint: Endpoint) -> dict[str, Any]:
    properties: dict[str, Any] = {"video": _reference("File"), "seed": {"type": "integer"}}
    if "draft" in endpoint.schema.model_fields:
        properties["draft_id"] = {"type": "string"}
    return {"title": "Output", "type": "object", "properties": properties, "required": ["video", "seed"]}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(name: str) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": _reference(name)}}}


def _responds(name: str) -> dict[str, Any]:
    return {"responses": {"200": {"description": "", **_json(name)}}}


routes = [Route("/queue/openapi.json", schema)]
