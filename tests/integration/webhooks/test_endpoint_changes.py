"""``PATCH`` of webhook endpoints: the given fields change, and no other."""

import asyncio
from typing import Any

import httpx
import pytest

from service.domain.tenant import Tenant
from service.runtime import Runtime
from tests.support.webhooks import ENDPOINTS, endpoint, read

WHOLE = {
    "description": "orders",
    "events": ["generation.failed", "endpoint.disabled"],
    "headers": {"x-api-key": "s3cret", "x-team": "a"},
    "ed25519": True,
}


@pytest.fixture
async def made(api: httpx.AsyncClient) -> dict[str, Any]:
    return await endpoint(api, "https://receiver.example/hook", **WHOLE)


async def patched(api: httpx.AsyncClient, made: dict[str, Any], body: Any, **headers: str) -> httpx.Response:
    return await api.patch(f"{ENDPOINTS}/{made['id']}", json=body, headers=headers)


async def headers_of(runtime: Runtime, tenant: Tenant, made: dict[str, Any]) -> dict[str, str]:
    return (await runtime.webhooks.endpoints.get(tenant, made["id"])).headers


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, {}),
        ({"url": "https://other.example/"}, {"url": "https://other.example/"}),
        ({"description": ""}, {"description": ""}),
        ({"events": ["generation.succeeded"]}, {"events": ["generation.succeeded"]}),
        ({"ed25519": False}, {"ed25519": False}),
        ({"enabled": True}, {}),
        ({"headers": {}}, {}),
        ({"headers": {"X-Team": "b"}}, {}),
        ({"headers": {"x-new": "1"}}, {"headers": ["x-api-key", "x-new", "x-team"]}),
        ({"headers": {"X-TEAM": None}}, {"headers": ["x-api-key"]}),
        ({"headers": {"x-unknown": None}}, {}),
        ({"description": "b", "headers": {"x-team": None}}, {"description": "b", "headers": ["x-api-key"]}),
    ],
)
async def test_patch_changes_the_given_fields_only(
    api: httpx.AsyncClient, made: dict[str, Any], body: dict[str, Any], expected: dict[str, Any]
) -> None:
    before = await read(api, made)
    answer = await patched(api, made, body)

    assert answer.status_code == 200, answer.text
    assert answer.json() == await read(api, made) == {**before, **expected}
    secret = (await api.get(f"{ENDPOINTS}/{made['id']}/secret")).json()
    assert secret["secret"] == made["secret"]
    assert secret["public_key"] == (None if body.get("ed25519") is False else made["public_key"])


async def test_enabling_by_patch_resets_nothing_else(
    api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, made: dict[str, Any]
) -> None:
    before, headers = await read(api, made), await headers_of(runtime, tenant, made)
    disabled = (await patched(api, made, {"enabled": False})).json()
    assert (disabled["enabled"], disabled["disabled"]["reason"]) == (False, "requested")
    assert (await patched(api, made, {"enabled": False})).json() == disabled, "the time stays"

    assert (await patched(api, made, {"enabled": True})).json() == before
    assert await headers_of(runtime, tenant, made) == headers == WHOLE["headers"]


async def test_patch_of_a_disabled_endpoint_does_not_enable_it(api: httpx.AsyncClient, made: dict[str, Any]) -> None:
    disabled = (await patched(api, made, {"enabled": False})).json()
    assert (await patched(api, made, {"description": "b"})).json() == {**disabled, "description": "b"}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        *(({name: None}, f"/{name}") for name in ("url", "events", "description", "headers", "ed25519", "enabled")),
        ({"url": "https://10.0.0.1/"}, "/url"),
        ({"url": ""}, "/url"),
        ({"events": []}, "/events"),
        ({"events": ["generation.exploded"]}, "/events/0"),
        ({"description": "x" * 501}, "/description"),
        ({"headers": {"host": "a"}}, "/headers"),
        ({"headers": {"webhook-id": None}}, "/headers"),
        ({"headers": {"x-a": "1", "X-A": "2"}}, "/headers"),
        ({"headers": {f"x-{n}": "1" for n in range(9)}}, "/headers"),
        ({"headers": {"x-a": 1}}, "/headers/x-a"),
        ({"ed25519": 1}, "/ed25519"),
        ({"enabled": "true"}, "/enabled"),
        ({"id": "whe_1"}, "/id"),
        ({"secret": "whsec_1"}, "/secret"),
    ],
)
async def test_patch_with_an_invalid_field_changes_nothing(
    api: httpx.AsyncClient, made: dict[str, Any], body: dict[str, Any], pointer: str
) -> None:
    before = await read(api, made)
    answer = await patched(api, made, body)

    assert answer.status_code == 422, answer.text
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]
    assert await read(api, made) == before


async def test_patch_checks_if_match(api: httpx.AsyncClient, made: dict[str, Any]) -> None:
    tag = (await api.get(f"{ENDPOINTS}/{made['id']}")).headers["etag"]
    first = await patched(api, made, {"description": "b"}, **{"if-match": tag})
    second = await patched(api, made, {"description": "c"}, **{"if-match": tag})

    assert (first.status_code, second.status_code, second.json()["code"]) == (200, 412, "precondition_failed")
    assert first.headers["etag"] != tag
    assert (await read(api, made))["description"] == "b"


async def test_concurrent_patches_of_other_fields_are_all_applied(api: httpx.AsyncClient, made: dict[str, Any]) -> None:
    changes: list[dict[str, Any]] = [
        {"description": "b"},
        {"events": ["generation.failed"]},
        {"headers": {"x-c": "3"}},
        {"enabled": False},
    ]
    for answer in await asyncio.gather(*(patched(api, made, change) for change in changes)):
        assert answer.status_code in (200, 412), answer.text
        if answer.status_code == 412:  # the retries were used up
            return
    after = await read(api, made)
    assert (after["description"], after["events"], after["enabled"]) == ("b", ["generation.failed"], False)
    assert after["headers"] == ["x-api-key", "x-c", "x-team"]


@pytest.mark.parametrize(
    ("method", "media", "status"),
    [
        ("PATCH", "application/merge-patch+json", 200),
        ("PATCH", "application/json", 200),
        ("PATCH", "application/json-patch+json", 415),
        ("PUT", "application/merge-patch+json", 415),
    ],
)
async def test_patch_accepts_the_media_type_of_merge_patches(
    api: httpx.AsyncClient, made: dict[str, Any], method: str, media: str, status: int
) -> None:
    url = f"{ENDPOINTS}/{made['id']}"
    answer = await api.request(method, url, content=b'{"description": "b"}', headers={"content-type": media})
    assert answer.status_code == status, answer.text


async def test_patch_of_another_tenants_endpoint_is_not_found(
    other_api: httpx.AsyncClient, made: dict[str, Any]
) -> None:
    for body in ({"enabled": False}, {"unknown": 1}):
        assert (await patched(other_api, made, body)).status_code == 404
