"""Conditional requests: ``If-Match`` of objects with a version, ``If-None-Match`` of ended generations."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from service.api.http import etags
from tests.support.factories import create_body
from tests.support.webhooks import ENDPOINTS, ended

HOOK = "http://127.0.0.1:9000/hook"
#: Values of ``If-Match`` for an object at version 1 that has never had another one.
CASES = [
    ("*", True),
    ('"1"', True),
    ("1", True),
    (' "7" , "1"', True),
    ('"a,b","1"', True),
    ('"7"', False),
    ('"7", "8"', False),
    ('W/"1"', False),
    ('""', False),
    ('"01"', False),
    ('"-1"', False),
    ('"1.0"', False),
]
MALFORMED = ["", "x", '"1', '1"', '"1" x', "W/1", "*, *", "9" * 5000]

Change = Callable[[dict[str, str]], Awaitable[httpx.Response]]


async def _endpoint(api: httpx.AsyncClient, change: str) -> tuple[Change, int]:
    made = await api.post(ENDPOINTS, json={"url": HOOK})
    path = f"{ENDPOINTS}/{made.json()['id']}"
    assert made.headers["etag"] == (await api.get(path)).headers["etag"] == '"1"'
    body: dict[str, Any] = {} if change == "DELETE" else {"json": {"url": HOOK}}
    return lambda headers: api.request(change, path, headers=headers, **body), 204 if change == "DELETE" else 200


async def _tenant(operator: httpx.AsyncClient, change: str) -> tuple[Change, int]:
    made = await operator.post("/admin/v1/tenants", json={"name": "shop"})
    path = f"/admin/v1/tenants/{made.json()['id']}"
    assert made.headers["etag"] == (await operator.get(path)).headers["etag"] == '"1"'
    if change in ("DELETE", "drain"):
        parameters = {"drain": "true"} if change == "drain" else {}
        return lambda headers: operator.delete(path, headers=headers, params=parameters), 204
    if change == "PATCH":
        return lambda headers: operator.patch(path, json={"name": "x"}, headers=headers), 200
    body: dict[str, Any] = {"json": {"reason": "test"}} if change.endswith("pause") or change == "unsuspend" else {}
    return lambda headers: operator.post(f"{path}/{change}", headers=headers, **body), 200


CHANGES = [
    (_endpoint, "PUT"),
    (_endpoint, "DELETE"),
    *((_tenant, name) for name in ("PATCH", "suspend", "unsuspend", "pause", "unpause", "DELETE", "drain")),
]


@pytest.mark.parametrize(("make", "change"), CHANGES)
async def test_if_match_decides_over_change(
    api: httpx.AsyncClient, operator: httpx.AsyncClient, make: Any, change: str
) -> None:
    client = api if make is _endpoint else operator
    for value, matches in CASES:
        call, success = await make(client, change)
        answer = await call({"If-Match": value})
        assert answer.status_code == (success if matches else 412), (value, answer.text)
        assert matches or answer.json()["code"] == "precondition_failed"
    for value in MALFORMED:
        answer = await call({"If-Match": value})
        assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/header/If-Match"], value


async def test_endpoint_update_shows_new_etag(api: httpx.AsyncClient) -> None:
    call, _ = await _endpoint(api, "PUT")

    first, second = await call({"If-Match": '"1"'}), await call({"If-Match": '"1"'})

    assert (first.status_code, first.headers["etag"], second.status_code) == (200, '"2"', 412)
    assert (await call({"If-Match": first.headers["etag"]})).status_code == 200


async def test_endpoint_concurrent_changes_with_etag_one_wins(api: httpx.AsyncClient) -> None:
    call, _ = await _endpoint(api, "PUT")

    answers = await asyncio.gather(*(call({"If-Match": '"1"'}) for _ in range(10)))

    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 9


async def test_if_match_in_two_lines_is_one_list(api: httpx.AsyncClient) -> None:
    made = await api.post(ENDPOINTS, json={"url": HOOK})
    lines = [("If-Match", '"7"'), ("If-Match", '"1"')]

    answer = await api.put(f"{ENDPOINTS}/{made.json()['id']}", json={"url": HOOK}, headers=lines)

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("value", "etag", "strongly", "weakly"),
    [
        ("*", '"a"', True, True),
        ('"a"', '"a"', True, True),
        ('W/"a"', '"a"', False, True),
        ('W/"a"', 'W/"a"', False, True),
        ('"a"', 'W/"a"', False, True),
        ('"b", "a"', '"a"', True, True),
        ('"a,b"', '"a"', False, False),
        ('"A"', '"a"', False, False),
    ],
)
def test_etag_comparison_is_strong_or_weak(value: str, etag: str, strongly: bool, weakly: bool) -> None:
    tags = etags.tags_of(value)
    assert tags is not None
    assert etags.matches_strongly(tags, etag) == strongly
    assert etags.matches_weakly(tags, etag) == weakly


# --- reads ------------------------------------------------------------------------------------------------------------


async def test_ended_generation_has_etag_and_is_not_modified(api: httpx.AsyncClient) -> None:
    path = f"/v1/generations/{await ended(api)}"
    first, second = await api.get(path), await api.get(f"{path}?wait=0")
    etag = first.headers["etag"]
    assert etag == second.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache"

    for value in (etag, etag.removeprefix("W/"), f'"x", {etag}', "*"):
        for method in ("GET", "HEAD"):
            answer = await api.request(method, path, headers={"If-None-Match": value})
            assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag), value
            assert answer.headers["cache-control"] == "private, no-cache"
            assert "content-length" not in answer.headers
    for value in ('"x"', etag.replace('"', ""), ""):
        answer = await api.get(path, headers={"If-None-Match": value})
        assert (answer.status_code, answer.json()["status"]) == (200, "canceled"), value


async def test_etags_of_two_generations_differ(api: httpx.AsyncClient) -> None:
    first, second = [await api.get(f"/v1/generations/{await ended(api)}") for _ in range(2)]

    assert first.headers["etag"] != second.headers["etag"]


async def test_generation_that_has_not_ended_has_no_etag(api: httpx.AsyncClient) -> None:
    made = (await api.post("/v1/generations", json=create_body())).json()

    answer = await api.get(f"/v1/generations/{made['id']}", headers={"If-None-Match": "*"})

    assert (answer.status_code, "etag" in answer.headers, answer.headers["cache-control"]) == (200, False, "no-store")


async def test_not_modified_needs_the_key(api: httpx.AsyncClient, other_api: httpx.AsyncClient) -> None:
    path = f"/v1/generations/{await ended(api)}"

    assert (await other_api.get(path, headers={"If-None-Match": "*"})).status_code == 404
