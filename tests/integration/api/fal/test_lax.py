"""``/fal`` is never stricter than fal; ``/v1`` stays strict."""

import asyncio
import re
from typing import Any

import httpx
import pytest
from pydantic_core import to_json

from tests.integration.api.fal.conftest import HEAD, MODEL, QUEUE, request_path, submit, submitted
from tests.support.factories import create_body
from tests.support.lax_forms import LAX, LEFT_OUT

IGNORED = "x-fal-ignored-fields"
ROWS = [
    *((field, lax, strict, False) for field, lax, strict in LAX),
    *((field, value, None, True) for field, value in LEFT_OUT),
]


async def test_fal_accepts_lax_forms_that_v1_refuses(fal: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    """One test for all rows: an app of its own for each would take minutes."""
    for field, value, strict, is_left_out in ROWS:
        row = f"{field}={value!r}"
        accepted = await submit(fal, **{field: value})
        assert (accepted.status_code, accepted.headers.get(IGNORED)) == (200, field if is_left_out else None), row
        assert (await api.post("/v1/generations", json=create_body(**{field: value}))).status_code == 422, row
        seen = (await api.get(f"/v1/generations/{accepted.json()['request_id']}")).json()
        if strict is not None and field != "expires_in":
            assert {**seen, **seen["input"]}[field] == strict, row


@pytest.mark.parametrize(("changes", "same"), [({"seed": "7", "x": 1}, True), ({"seed": 8}, False)])
async def test_fal_idempotency_key_compares_the_meaning(
    fal: httpx.AsyncClient, changes: dict[str, Any], same: bool
) -> None:
    key = {"idempotency-key": "order-1"}
    first = await submitted(fal, headers=key, seed=7, duration=5)
    second = await submit(fal, headers=key, **{"duration": "5s", **changes})
    assert second.status_code == (200 if same else 422)
    assert second.headers["x-fal-request-id"] == first or not same


@pytest.mark.parametrize(
    "names",
    [
        ["colour"],
        ["a, b", "x-y_z.1~"],
        ["\r\nset-cookie: x=1", "\x00", "é", "\U0001f600", ""],
        ["n" * 5000],
        [f"field{n}" for n in range(500)],
    ],
    ids=["plain", "separators", "header injection", "long", "many"],
)
async def test_fal_ignored_fields_header_is_bounded_and_safe(
    fal: httpx.AsyncClient, names: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    answer = await submit(fal, **dict.fromkeys(names, "a secret value"))
    assert answer.status_code == 200, answer.text
    value = answer.headers[IGNORED]
    assert re.fullmatch(r"[A-Za-z0-9_.~%, -]{0,5000}", value)
    assert len(value.split(", ")) == min(len(names), 21)
    assert value.endswith("...") == (len(names) > 20 or len(names[0]) > 64)
    printed = capfd.readouterr().err
    assert '"event":"fields_ignored"' in printed
    assert "a secret value" not in printed


async def test_fal_unknown_field_with_half_a_surrogate_pair(fal: httpx.AsyncClient) -> None:
    body = to_json(create_body())[:-1] + b',"\\ud800":1}'
    answer = await fal.post(f"{QUEUE}/{MODEL}", content=body)
    assert answer.status_code in (200, 400)


@pytest.mark.parametrize(
    ("characters", "fal_status", "v1_status"), [(4001, 200, 422), (20_000, 200, 422), (20_001, 422, 422)]
)
async def test_fal_long_prompt_is_decided_by_fal(
    fal: httpx.AsyncClient, api: httpx.AsyncClient, characters: int, fal_status: int, v1_status: int
) -> None:
    prompt = "é" * characters
    assert (await submit(fal, prompt=prompt)).status_code == fal_status
    assert (await api.post("/v1/generations", json=create_body(prompt=prompt))).status_code == v1_status


@pytest.mark.parametrize("endpoint", [MODEL, f"fal-ai/{MODEL}"])
async def test_fal_model_id_with_and_without_prefix(fal: httpx.AsyncClient, endpoint: str) -> None:
    """Clients make the URL of a request from the first two segments of the id that they were given."""
    made = await fal.post(f"{QUEUE}/{endpoint}", json=create_body())
    assert made.status_code == 200
    name = made.json()["request_id"]
    assert made.json()["status_url"].endswith(f"{request_path(name)}/status")
    own = "/".join(endpoint.split("/")[:2])
    for head in {own, HEAD, MODEL, f"fal-ai/{HEAD}", f"fal-ai/{MODEL}", "fal-ai/bytedance"}:
        assert (await fal.get(f"{request_path(name, head)}/status")).status_code == 202, head
    for head in ("bytedance", "fal-ai", "fal-ai/flux", f"fal-ai/fal-ai/{HEAD}", f"x/{HEAD}"):
        assert (await fal.get(f"{request_path(name, head)}/status")).status_code == 404, head
    assert (await fal.put(f"{request_path(name, own)}/cancel")).status_code == 202


async def test_fal_unknown_query_parameters_are_ignored(fal: httpx.AsyncClient) -> None:
    name = await submitted(fal, query="?colour=red&colour=blue&_subdomain=queue")
    for path, status in ((f"{request_path(name)}/status", 202), (request_path(name), 400)):
        assert (await fal.get(f"{path}?colour=red&x")).status_code == status
    assert (await fal.put(f"{request_path(name)}/cancel?colour=red")).status_code == 202


async def test_fal_run_names_ignored_fields(fal: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    running = asyncio.create_task(fal.post(f"/fal/run/fal-ai/{MODEL}", json=create_body(colour="red")))
    while not (found := (await api.get("/v1/generations")).json()["data"]):
        assert not running.done()
    await api.post(f"/v1/generations/{found[0]['id']}/cancel")
    answer = await running
    assert (answer.status_code, answer.headers[IGNORED]) == (499, "colour")
