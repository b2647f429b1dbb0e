"""The published schema of every endpoint: it agrees with the check of inputs, and is valid OpenAPI."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import jsonschema
import pytest
from openapi_spec_validator import validate

from sandbox.app import create_app
from sandbox.endpoints import ENDPOINTS
from sandbox.schema import Request
from tests.integration.sandbox.test_endpoints import ANY, COMPLETE, R20, S25, minimum

PATH = "/api/openapi/queue/openapi.json"


@pytest.fixture
async def public() -> AsyncIterator[httpx.AsyncClient]:
    """Return a client without a key."""
    transport = httpx.ASGITransport(create_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        yield client


async def published(public: httpx.AsyncClient, endpoint: str) -> dict[str, Any]:
    answer = (await public.get(PATH, params={"endpoint_id": endpoint})).raise_for_status()
    document: dict[str, Any] = answer.json()
    return document


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_published_schema_is_that_of_the_endpoint(public: httpx.AsyncClient, endpoint: str) -> None:
    document = await published(public, endpoint)
    validate(document)
    assert f"/{endpoint}" in document["paths"]
    schemas = document["components"]["schemas"]
    assert set(schemas["Input"]["properties"]) == set(ENDPOINTS[endpoint].schema.model_fields)
    assert ("draft_id" in schemas["Output"]["properties"]) == ("draft" in schemas["Input"]["properties"])
    for field in schemas["Input"]["properties"].values():
        assert "null" not in str(field)
        assert field["type"] in {"string", "boolean", "integer", "array"}


@pytest.mark.parametrize("endpoint", ANY)
async def test_published_schema_agrees_with_the_check(public: httpx.AsyncClient, endpoint: str) -> None:
    schema = (await published(public, endpoint))["components"]["schemas"]["Input"]
    validator = jsonschema.Draft4Validator(schema)
    given = minimum(endpoint)
    variants = [given, {**given, "prompt": 5}, {}]
    variants += [{**given, "duration": value} for value in ("auto", "1", "2", "3", "4", "12", "13", "15", "16", "30")]
    variants += [{**given, "resolution": value} for value in ("480p", "1080p", "4k")]
    variants += [{**given, "aspect_ratio": "16:9"}, {**given, "image_urls": ["x"] * 10}, {**given, "seed": "x"}]
    for variant in variants:
        is_accepted = isinstance(ENDPOINTS[endpoint].check(variant), Request)
        assert validator.is_valid(variant) == is_accepted, variant


async def test_published_schema_shows_defaults_and_limits(public: httpx.AsyncClient) -> None:
    fields = (await published(public, R20))["components"]["schemas"]["Input"]["properties"]
    assert (fields["image_urls"]["maxItems"], fields["resolution"]["default"]) == (9, "720p")
    fields = (await published(public, f"{S25}/image-to-video"))["components"]["schemas"]["Input"]["properties"]
    assert fields["aspect_ratio"]["enum"] == ["auto"]
    fields = (await published(public, COMPLETE))["components"]["schemas"]["Input"]["properties"]
    assert fields["resolution"]["enum"] == ["1080p"]


async def test_published_schema_of_unknown_endpoint_is_404(public: httpx.AsyncClient) -> None:
    assert (await public.get(PATH, params={"endpoint_id": "other/app"})).status_code == 404
