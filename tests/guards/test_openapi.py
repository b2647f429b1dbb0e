"""The OpenAPI document is valid, complete, and agrees with the responses where a call can prove it."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from service.api.openapi.page import people_document
from service.config.settings import Settings
from service.domain.field_types import Resolution
from service.domain.pricing import Rates
from service.domain.tenant import Scope, Tenant
from service.domain.webhook import EventType
from service.errors import GatewayError
from tests.conftest import Connect
from tests.guards.repository import ROOT

#: As stored, because a guard compares the file with the routes: each worker of pytest would make the document.
DOCUMENT = json.loads((ROOT / "openapi/openapi.json").read_text())
#: Fields that decide the price.
COSTLY = ("resolution", "duration")
METHODS = ("get", "put", "post", "delete", "options", "patch")
#: Fields without a text to show.
BINARY = {"application/octet-stream", "video/mp4"}
REGISTRY: Registry[Any] = Registry().with_resource("urn:openapi", DRAFT202012.create_resource(DOCUMENT))


def operations(section: str = "paths") -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DOCUMENT[section].items():
        yield from ((path, method, item[method]) for method in METHODS if method in item)


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        found: Any = DOCUMENT
        for step in node["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        node = found
    return node


def contents() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield every body of requests and responses: its operation, its media type, the body."""
    for section in ("paths", "webhooks"):
        for path, method, operation in operations(section):
            bodies = {"body": operation.get("requestBody", {}), **operation["responses"]}
            for name, body in bodies.items():
                for media, content in resolved(body).get("content", {}).items():
                    yield f"{method} {path} {name}", media, content


def values(content: dict[str, Any]) -> list[Any]:
    named = [resolved(example)["value"] for example in content.get("examples", {}).values()]
    return [*named, *([content["example"]] if "example" in content else [])]


def local(schema: Any) -> Any:
    """Return the schema with absolute references: a validator has to know the document of each reference."""
    if isinstance(schema, dict):
        return {key: f"urn:openapi{value}" if key == "$ref" else local(value) for key, value in schema.items()}
    return [local(item) for item in schema] if isinstance(schema, list) else schema


def test_document_is_valid() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    validate(DOCUMENT)


def test_bodies_have_examples_that_match_their_schema() -> None:
    bare = [f"{whose} {media}" for whose, media, content in contents() if not values(content) and media not in BINARY]
    wrong = [
        f"{whose}: {error.message}"
        for whose, _, content in contents()
        for value in values(content)
        for error in Draft202012Validator(local(content["schema"]), registry=REGISTRY).iter_errors(value)
    ]

    assert bare == []
    assert wrong == []


def test_operations_and_parameters_have_descriptions() -> None:
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    for section in ("paths", "webhooks"):
        for path, method, operation in operations(section):
            assert operation["summary"], path
            assert set(operation["tags"]) <= tags, f"{method} {path}"
            assert "security" in operation, (
                f"{method} {path}: the description names the callers, also of a public route"
            )
            assert operation["description"], f"{method} {path}"
            for parameter in operation.get("parameters", ()):
                assert parameter.get("description"), f"{method} {path}: {parameter['name']}"
            for status, answer in operation["responses"].items():
                assert resolved(answer)["description"] != "Successful Response", f"{method} {path} {status}"
    assert all(tag["description"] for tag in DOCUMENT["tags"])
    assert DOCUMENT["servers"]


def test_properties_and_headers_have_descriptions() -> None:
    """Except in fal's own schemas, whose names and meanings are fal's."""
    bare = [
        f"{name}.{field}"
        for name, schema in DOCUMENT["components"]["schemas"].items()
        if not name.startswith("Fal") or name == "FalWebhook"
        for field, content in schema.get("properties", {}).items()
        if not content.get("description")
    ]

    assert bare == []
    assert [name for name, header in DOCUMENT["components"]["headers"].items() if not header["description"]] == []


def test_operation_descriptions_name_their_scope() -> None:
    for path, method, operation in operations():
        for way in operation["security"]:
            for scopes in way.values():
                named = [re.search(f"(scope|role) `{scope}`", operation["description"]) for scope in scopes]
                assert all(named), f"{method} {path}"


def test_costs_in_descriptions_are_default_prices() -> None:
    rates = Rates(Settings.model_fields["rates"].default)
    cases: list[tuple[Resolution, str]] = [("720p", "auto"), ("480p", "5"), ("720p", "5")]
    highest = {case: math.ceil(rates.estimate(*case) / 10_000) / 100 for case in cases}
    texts = [
        *(DOCUMENT["components"]["schemas"]["CreateGeneration"]["properties"][name]["description"] for name in COSTLY),
        DOCUMENT["paths"]["/v1/generations"]["post"]["description"],
        DOCUMENT["info"]["description"],
    ]

    assert highest == {("720p", "auto"): 4.58, ("480p", "5"): 0.71, ("720p", "5"): 1.54}
    assert all("4.58 USD" in text and "0.71 USD" in text for text in texts)


def test_page_has_two_schemes_and_one_error_per_operation() -> None:
    shown = people_document(DOCUMENT)

    assert list(shown["components"]["securitySchemes"]) == ["apiKey", "adminToken"]
    assert not [path for path in shown["paths"] if path.startswith(("/callbacks", "/fal/proxy"))]
    for path, item in shown["paths"].items():
        for method, operation in item.items():
            assert [status for status in operation["responses"] if status in ("401", "404", "503")] == [], path
            assert operation["responses"]["default"]["description"], f"{method} {path}"


def test_operation_ids_are_unique_identifiers() -> None:
    names = [operation["operationId"] for section in ("paths", "webhooks") for *_, operation in operations(section)]

    assert len(names) == len(set(names)) > 60
    assert [name for name in names if not re.fullmatch(r"[a-z][a-z_]+[a-z]", name)] == []


def test_paths_declare_their_parameters() -> None:
    for path, method, operation in operations():
        given = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"}
        assert set(re.findall(r"{(\w+)}", path)) == given, f"{method} {path}"


def test_responses_declare_common_headers() -> None:
    for path, method, operation in operations():
        for status, answer in operation["responses"].items():
            declared = resolved(answer)["headers"]
            assert {"X-Request-Id", "Server-Timing"} <= set(declared), f"{method} {path} {status}"
            assert ("Retry-After" in declared) == (status in ("409", "429", "503")), f"{method} {path} {status}"
            assert all(set(header) == {"$ref"} for header in declared.values()), "each header is described once"


def test_error_responses_list_every_code_of_their_status() -> None:
    for path, method, operation in operations():
        assert "500" in operation["responses"], f"{method} {path}"
        for status, answer in operation["responses"].items():
            if status >= "400" and "/video" not in path:
                assert set(answer) == {"$ref"}, f"{method} {path} {status}"
    known = {error.code: error.status for error in _family(GatewayError)}
    declared = {
        code: int(name.removeprefix("Error"))
        for name, answer in DOCUMENT["components"]["responses"].items()
        if name.startswith("Error")
        for code in answer["content"]["application/problem+json"]["examples"]
    }
    assert declared == known


def test_events_have_webhooks() -> None:
    sent = {name for name, *_ in operations("webhooks")}

    assert sent == {event.value for event in EventType} | {"fal.request"}


def test_components_are_all_referenced() -> None:
    text = str(DOCUMENT)
    unused = {
        f"#/components/{kind}/{name}"
        for kind, parts in DOCUMENT["components"].items()
        if kind != "securitySchemes"
        for name in parts
        if f"'#/components/{kind}/{name}'" not in text
    }

    assert unused == {f"#/components/responses/Error{status}" for status in (405, 501)}, "no operation answers so"


@pytest.mark.parametrize("surface", ["/v1/", "/fal/"])
async def test_operations_require_the_scope_they_name(
    app: FastAPI, tenant: Tenant, connect: Connect, surface: str
) -> None:
    only = {scope.value: await connect(tenant, scopes=(scope,)) for scope in Scope}
    missing = {scope.value: await connect(tenant, scopes=tuple(set(Scope) - {scope})) for scope in Scope}
    asked = 0
    for path, method, operation in operations():
        ways = operation["security"] if path.startswith(surface) else []
        for role in (role for way in ways for roles in way.values() for role in roles):
            filled = re.sub(r"{\w+}", "x", path)
            refused = await missing[role].request(method, filled)
            assert (refused.status_code, f"'{role}'" in refused.text) == (403, True), f"{method} {path}"
            assert (await only[role].request(method, filled)).status_code != 403, f"{method} {path}"
            asked += 1
    assert asked > 5


async def test_served_document_is_the_exported_one(anonymous: httpx.AsyncClient) -> None:
    assert (await anonymous.get("/openapi.json")).json() == DOCUMENT


def _family(error: type[GatewayError]) -> Iterator[type[GatewayError]]:
    yield error
    for child in error.__subclasses__():
        if child.__module__ == GatewayError.__module__:
            yield from _family(child)
