"""Client for the schemas that fal publishes of its endpoints, without a key. Bytes and time are bounded."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

import aiohttp

from service.domain.models.published import PublishedField, PublishedSchema
from service.observability.causes import cause
from service.upstream.answer_body import LARGEST_ANSWER, AnswerTooLarge, read_body
from service.upstream.http_result import HttpResponse, NoHttpResponse, Wire, read_response
from service.upstream.sessions import json_headers, open_session

_PATH: Final = "/api/openapi/queue/openapi.json"
#: Requests in flight, each with an answer of at most ``LARGEST_ANSWER`` bytes.
_CONCURRENT: Final = 4
#: Most references in a row from one schema to the next.
_DEEPEST: Final = 8


class FalSchemas:
    """``GET /api/openapi/queue/openapi.json?endpoint_id=...``, one request for each endpoint."""

    def __init__(self, *, site_url: str, timeout: float, patience: float = 60.0, proxy: str | None = None) -> None:
        """``timeout``: of one request, in seconds. ``patience``: of all requests together."""
        self._url = f"{site_url}{_PATH}"
        self._timeout = timeout
        self._patience = patience
        self._proxy = proxy

    async def read(self, endpoint_ids: Iterable[str]) -> dict[str, Wire]:
        """Return fal's answer about each endpoint. An endpoint that had no turn in time has no answer."""
        slots = asyncio.Semaphore(_CONCURRENT)
        found: dict[str, Wire] = {each: NoHttpResponse(sent=False, reason="TimeoutError") for each in endpoint_ids}
        async with open_session(
            headers=json_headers(),
            timeout=aiohttp.ClientTimeout(total=self._timeout),
            proxy=self._proxy,
        ) as http:

            async def fetch(endpoint_id: str) -> None:
                async with slots:
                    found[endpoint_id] = await self._fetch(http, endpoint_id)

            with suppress(TimeoutError):  # the endpoints that are left have no answer
                async with asyncio.timeout(self._patience), asyncio.TaskGroup() as group:
                    for each in found:
                        group.create_task(fetch(each))
        return found

    async def _fetch(self, http: aiohttp.ClientSession, endpoint_id: str) -> Wire:
        params = {"endpoint_id": endpoint_id}
        try:
            async with http.get(self._url, params=params, allow_redirects=False) as response:
                content = await read_body(response.headers, response.content.iter_any(), most=LARGEST_ANSWER)
        except (aiohttp.ClientError, OSError, TimeoutError, AnswerTooLarge) as error:
            return NoHttpResponse(sent=True, reason=type(error).__name__, cause=cause(error))
        return read_response(response.status, response.headers, content)


def published_schema(endpoint_id: str, answer: HttpResponse) -> PublishedSchema | None:
    """Return the schemas of input and result of fal's document; None if it has no schema of the input."""
    document = _Document(answer.body)
    fields = document.input_of(f"/{endpoint_id}")
    if fields is None:
        return None
    return PublishedSchema(fields, document.outputs_of(f"/{endpoint_id}/requests/{{request_id}}"))


class _Document:
    """An OpenAPI document. Whatever is not of the expected form counts as absent."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def input_of(self, path: str) -> dict[str, PublishedField] | None:
        content = _get(self._body, "paths", path, "post", "requestBody", "content", "application/json", "schema")
        schema = self._resolved(content)
        properties = schema.get("properties")
        if not isinstance(properties, dict):
            return None
        required = _texts(schema.get("required"))
        return {name: self._field(inner, name in required) for name, inner in properties.items()}

    def outputs_of(self, path: str) -> frozenset[str] | None:
        operation = _get(self._body, "paths", path, "get", "responses", "200")
        properties = self._resolved(_get(operation, "content", "application/json", "schema")).get("properties")
        return frozenset(properties) if isinstance(properties, dict) else None

    def _field(self, schema: Any, required: bool) -> PublishedField:  # noqa: FBT001  (named at the call by its value)
        outer = self._resolved(schema)
        parts = [part for part in self._alternatives(outer) if part.get("type") != "null"]
        values = [value for part in parts for value in _values(part)]
        return PublishedField(
            type=next((kind for part in parts if (kind := _type(part)) is not None), None),
            required=required,
            default=next((value for each in (outer, *parts) if (value := _default(each)) is not None), None),
            values=tuple(dict.fromkeys(values)) if values else None,
            least=_first_number(parts, "minimum"),
            most=_first_number(parts, "maximum"),
            most_items=_first_number(parts, "maxItems"),
        )

    def _alternatives(self, schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        for name in ("anyOf", "oneOf", "allOf"):
            if isinstance(inner := schema.get(name), list):
                return [{**_without(schema, name), **self._resolved(each)} for each in inner]
        return [schema]

    def _resolved(self, schema: Any) -> Mapping[str, Any]:
        """Follow references within the document. What stands next to a reference counts too."""
        found: dict[str, Any] = {}
        for _ in range(_DEEPEST):
            if not isinstance(schema, dict):
                break
            found = {**schema, **found}
            reference = schema.get("$ref")
            if not isinstance(reference, str) or not reference.startswith("#/"):
                break
            schema = _get(self._body, *reference.removeprefix("#/").split("/"))
        return found


def _get(body: Any, *path: str) -> Any:
    for name in path:
        body = body.get(name) if isinstance(body, dict) else None
    return body


def _without(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != name}


def _texts(value: Any) -> frozenset[str]:
    return frozenset(each for each in value if isinstance(each, str)) if isinstance(value, list) else frozenset()


def _type(schema: Mapping[str, Any]) -> str | None:
    """Return the type. OpenAPI 3.1 may name ``null`` next to it."""
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), None)
    if isinstance(kind, str):
        return kind
    return "string" if any(isinstance(value, str) for value in _values(schema)) else None


def _values(schema: Mapping[str, Any]) -> list[str]:
    """Return the values of an enumeration as texts."""
    values = schema.get("enum")
    if not isinstance(values, list):
        values = [schema["const"]] if "const" in schema else []
    return [str(value) for value in values if isinstance(value, str | int) and not isinstance(value, bool)]


def _default(schema: Mapping[str, Any]) -> str | bool | int | float | None:
    value = schema.get("default")
    return value if isinstance(value, str | bool | int | float) else None


def _first_number(parts: list[Mapping[str, Any]], name: str) -> int | None:
    for part in parts:
        value = part.get(name)
        if type(value) is int or (isinstance(value, float) and value.is_integer()):
            return int(value)
    return None
