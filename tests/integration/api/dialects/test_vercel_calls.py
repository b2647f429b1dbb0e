"""Video calls of the AI SDK: translation, answers, errors in the form of its classes, retries, the one-call form."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic_core import from_json, to_json

from service.config.settings import Settings
from service.domain.generation import Generation
from service.domain.models import registry
from service.domain.tenant import Limits, Scope
from service.runtime import Runtime
from tests.conftest import Connect, client_of
from tests.support import factories
from tests.support.factories import Clock

T2V, I2V = (f"bytedance/seedance-2.0/{kind}-to-video" for kind in ("text", "image"))
FAMILY = "bytedance/seedance-2.0"
IMAGE = {"type": "url", "url": "https://v3b.fal.media/files/b/x/rocket.jpg"}
LAST = {"type": "url", "url": "https://v3b.fal.media/files/b/x/last.jpg"}
REGISTRY = registry.build(enabled=["*"])
SERVED = {name: REGISTRY.enabled[name] for name in REGISTRY.creatable}
COMPLETION = "bytedance/seedance-2.5/draft/complete"


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return factories.settings(
        redis_url,
        models=("*",),
        resolutions=("480p", "720p", "1080p", "4k"),
        bitrate_modes=("standard", "high"),
        event_streams=2,
        resend_window=timedelta(seconds=120),
    )


def call(**changes: Any) -> dict[str, Any]:
    """Return a body as the SDK sends it."""
    return {"prompt": "a rocket", "n": 1, "providerOptions": {}, **changes}


def headers(model: str = FAMILY, **more: str) -> dict[str, str]:
    return {
        "ai-model-id": model,
        "ai-video-model-specification-version": "4",
        "ai-gateway-protocol-version": "0.0.1",
        "ai-gateway-auth-method": "api-key",
        **more,
    }


async def start(api: httpx.AsyncClient, model: str = FAMILY, /, key: str = "", **changes: Any) -> httpx.Response:
    more = {"idempotency-key": key} if key else {}
    return await api.post("/vercel/video-model/start", json=call(**changes), headers=headers(model, **more))


async def started(api: httpx.AsyncClient, model: str = FAMILY, /, **changes: Any) -> Any:
    """Start a video. Return the generation as ``/v1`` has it, with the warnings of the start."""
    answer = await start(api, model, **changes)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    generation = (await api.get(f"/v1/generations/{body['operation']['id']}")).json()
    return {**generation, "warnings": [warning["feature"] for warning in body["warnings"]]}


async def status(api: httpx.AsyncClient, generation_id: str) -> Any:
    answer = await api.post("/vercel/video-model/status", json={"operation": {"id": generation_id}}, headers=headers())
    assert answer.status_code == 200, answer.text
    return answer.json()


async def count(api: httpx.AsyncClient) -> int:
    return len((await api.get("/v1/generations")).json()["data"])


# --- start ------------------------------------------------------------------------------------------------------------

TRANSLATED = {
    "text": ({}, T2V, {"prompt": "a rocket"}, []),
    "image": ({"image": IMAGE}, I2V, {"image_url": IMAGE["url"]}, []),
    "first frame before image": (
        {"image": LAST, "frameImages": [{"image": IMAGE, "frameType": "first_frame"}]},
        I2V,
        {"image_url": IMAGE["url"]},
        [],
    ),
    "both frames": (
        {
            "frameImages": [
                {"image": LAST, "frameType": "last_frame"},
                {"image": IMAGE, "frameType": "first_frame"},
            ]
        },
        I2V,
        {"image_url": IMAGE["url"], "end_image_url": LAST["url"]},
        [],
    ),
    "size": ({"resolution": "1280x720"}, T2V, {"resolution": "720p", "aspect_ratio": "16:9"}, []),
    "upright size": ({"resolution": "480x854"}, T2V, {"resolution": "480p", "aspect_ratio": "9:16"}, []),
    "name of a size": (
        {"resolution": "480p", "aspectRatio": "1:1"},
        T2V,
        {"resolution": "480p", "aspect_ratio": "1:1"},
        [],
    ),
    "size and its ratio": (
        {"resolution": "1280x720", "aspectRatio": "16:9"},
        T2V,
        {"resolution": "720p", "aspect_ratio": "16:9"},
        [],
    ),
    "references": (
        {"inputReferences": [IMAGE, {**LAST, "mediaType": "image/png"}]},
        f"{FAMILY}/reference-to-video",
        {"image_urls": [IMAGE["url"], LAST["url"]]},
        [],
    ),
    "adaptive": ({"aspectRatio": "adaptive"}, T2V, {"aspect_ratio": "auto"}, []),
    "duration": ({"duration": 5}, T2V, {"duration": "5"}, []),
    "whole float": ({"duration": 5.0}, T2V, {"duration": "5"}, []),
    "silent": ({"generateAudio": False}, T2V, {"generate_audio": False}, []),
    "seed": ({"image": IMAGE, "seed": 7}, I2V, {"seed": 7}, []),
    "seed of a model without": ({"seed": 7}, T2V, {"seed": None}, ["seed"]),
    "frame rate": ({"fps": 30}, T2V, {}, ["fps"]),
    "its own frame rate": ({"fps": 24}, T2V, {}, []),
    "unknown member": ({"voice": "low"}, T2V, {}, ["voice"]),
    "options of fal": ({"providerOptions": {"fal": {"bitrate_mode": "high"}}}, T2V, {"bitrate_mode": "high"}, []),
    "options of bytedance": (
        {"providerOptions": {"bytedance": {"generateAudio": False, "watermark": False}}},
        T2V,
        {"generate_audio": False},
        ["providerOptions.bytedance.watermark"],
    ),
    "other options": (
        {"providerOptions": {"gateway": {"tags": ["a"]}, "klingai": {"mode": "pro"}, "fal": None}},
        T2V,
        {},
        ["providerOptions.gateway.tags", "providerOptions.klingai.mode", "providerOptions.fal"],
    ),
}


@pytest.mark.parametrize(("changes", "model", "fields", "warnings"), TRANSLATED.values(), ids=TRANSLATED)
async def test_call_is_translated(
    api: httpx.AsyncClient, changes: Any, model: str, fields: dict[str, Any], warnings: list[str]
) -> None:
    made = await started(api, **changes)

    assert made["model"] == model
    assert {name: made["input"].get(name) for name in fields} == fields
    assert made["warnings"] == warnings


async def test_call_sets_fields_of_the_gateway(api: httpx.AsyncClient) -> None:
    options = {"gateway": {"user": "customer-7"}, "fal": {"metadata": {"a": "b"}, "priority": 3}}
    made = await started(api, callbackUrl="https://customer.example/hook", providerOptions=options)

    assert (made["end_user_id"], made["metadata"], made["priority"]) == ("customer-7", {"a": "b"}, 3)
    assert made["webhook_url"] == "https://customer.example/hook"


@pytest.mark.parametrize("model", list(SERVED))
async def test_every_model_is_started_by_its_id(api: httpx.AsyncClient, model: str) -> None:
    image: dict[str, Any] = {"image": IMAGE} if "image_url" in SERVED[model].fields else {}
    if "image_urls" in SERVED[model].fields:
        image["inputReferences"] = [IMAGE, {**LAST, "mediaType": "image/png"}]
    made = await started(api, model, **image, duration=SERVED[model].durations[-1])

    assert made["model"] == model


async def test_answer_has_ids_and_cost_held(api: httpx.AsyncClient) -> None:
    body = (await start(api, duration=4, resolution="480p")).json()
    gateway = body["providerMetadata"]["gateway"]
    made = (await api.get(f"/v1/generations/{body['operation']['id']}")).json()

    assert gateway["generationId"] == gateway["asyncJob"]["jobId"] == made["id"]
    assert (gateway["estimatedCost"], gateway["cost"]) == (made["cost"]["estimated"], None)


async def test_start_with_the_same_key_creates_once(api: httpx.AsyncClient) -> None:
    first, second = [await start(api, key="aisdk_vid_1") for _ in range(2)]
    other = await start(api, key="aisdk_vid_1", prompt="another")

    assert first.json()["operation"] == second.json()["operation"]
    assert ("idempotency-replayed" in first.headers, second.headers["idempotency-replayed"]) == (False, "true")
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_mismatch")
    assert await count(api) == 1


# --- errors -----------------------------------------------------------------------------------------------------------

REFUSED = {
    "several videos": ({"n": 2}, "n: must be 1: a call makes one video; send one call for each video"),
    "no video": ({"n": 0}, "n: must be 1"),
    "duration": ({"duration": 99}, "duration: must be"),
    "part of a second": ({"duration": 4.5}, "duration: must be"),
    "size": ({"resolution": "999x111"}, "resolution: must be a size of"),
    "name of a size": ({"resolution": "8k"}, "resolution: must be"),
    "ratio": ({"aspectRatio": "5:4"}, "aspectRatio: must be"),
    "ratio that contradicts": ({"resolution": "1280x720", "aspectRatio": "1:1"}, "aspectRatio: does not agree"),
    "seed": ({"image": IMAGE, "seed": -1}, "seed: must be at least 0"),
    "two first frames": (
        {"frameImages": [{"image": IMAGE, "frameType": "first_frame"}] * 2},
        "frameImages.1.frameType: must be given once",
    ),
    "last frame alone": ({"frameImages": [{"image": LAST, "frameType": "last_frame"}]}, "image: "),
    "file without bytes": ({"image": {"type": "file", "mediaType": "image/png"}}, "image: needs url"),
    "address of the image": ({"image": {"type": "url", "url": "ftp://a/b.png"}}, "image: must be"),
    "address of a frame": (
        {"frameImages": [{"image": {"type": "url", "url": "b.png"}, "frameType": "first_frame"}]},
        "frameImages.0.image: must be",
    ),
    "base64": ({"image": {"type": "file", "data": "!", "mediaType": "image/png"}}, "image: "),
    "callback": ({"callbackUrl": "mailto:a@b.example"}, "callbackUrl: must be"),
    "prompt": ({"prompt": " "}, "prompt: must not be blank"),
    "no prompt": ({"prompt": None}, "prompt: is required"),
    "end user": ({"providerOptions": {"gateway": {"user": 7}}}, "providerOptions.gateway.user: must be a string"),
    "option": ({"providerOptions": {"fal": {"bitrateMode": "low"}}}, "providerOptions.fal.bitrateMode: must be"),
}


@pytest.mark.parametrize(("changes", "message"), REFUSED.values(), ids=REFUSED)
async def test_wrong_member_is_named_as_the_caller_named_it(api: httpx.AsyncClient, changes: Any, message: str) -> None:
    answer = await start(api, **changes)

    assert answer.status_code == 422, answer.text
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert message in error["message"]
    assert await count(api) == 0


async def test_errors_select_the_classes_of_the_sdk(app: FastAPI, api: httpx.AsyncClient, connect: Connect) -> None:
    tenants = app.state.runtime.tenants.service
    poor = await connect(await tenants.create("poor", Limits(monthly_budget=1)))
    narrow = await connect(await tenants.create("narrow", Limits(models=(T2V,))))
    full = await connect(await tenants.create("full", Limits(queued_generations=0)))
    reader = await connect(scopes=(Scope.READ,))
    unknown = {"operation": {"id": "gen_00000000000000000000000000"}}
    async with client_of(app, "sgk_wrong") as wrong:
        answers = [
            await start(wrong),
            await start(poor),
            await start(api, providerOptions={"fal": {"max_cost_usd": "0.01"}}),
            await start(narrow, image=IMAGE),
            await start(reader),
            await start(api, "other/model"),
            await start(api, COMPLETION),
            await start(full),
            await api.post("/vercel/video-model/status", json=unknown),
            await api.post("/vercel/video-model/status", json={"operation": 7}),
            await api.post("/vercel/video-model/start", content=b"{", headers={"content-type": "application/json"}),
            await api.post("/vercel/video-model/start", json=call()),
            await api.get("/vercel/other"),
            await api.get("/vercel/video-model"),
        ]
    errors = [answer.json()["error"] for answer in answers]
    assert [
        (answer.status_code, error["type"], error["code"]) for answer, error in zip(answers, errors, strict=True)
    ] == [
        (401, "authentication_error", "unauthenticated"),
        (402, "forbidden", "budget_exceeded"),
        (402, "forbidden", "max_cost_exceeded"),
        (403, "forbidden", "model_forbidden"),
        (403, "forbidden", "forbidden"),
        (404, "model_not_found", "model_not_found"),
        (422, "invalid_request_error", "invalid"),
        (429, "rate_limit_exceeded", "queue_full"),
        (404, "not_found", "not_found"),
        (422, "invalid_request_error", "invalid"),
        (400, "invalid_request_error", "malformed"),
        (422, "invalid_request_error", "invalid"),
        (404, "not_found", "not_found"),
        (405, "invalid_request_error", "method_not_allowed"),
    ]
    assert [error["param"] and error["param"].get("ruleId") for error in errors[1:5]] == [
        "budget_exceeded",
        "max_cost_exceeded",
        "model_forbidden",
        "forbidden",
    ]
    assert errors[5]["param"] == {"modelId": "other/model"}
    assert answers[7].headers["retry-after"]


# --- status -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def move(runtime: Runtime, clock: Clock) -> Callable[..., Any]:
    async def moved(generation_id: str, *names: str, **how: Any) -> None:
        for name in names:
            more = how if name == "failed" else {}
            assert await runtime.transitions.apply(generation_id, partial(MOVES[name], now=clock(), **more))

    return moved


MOVES: dict[str, Callable[..., Generation]] = {
    "submitting": Generation.submitting,
    "unconfirmed": lambda g, **_: g.unconfirmed(),
    "submitted": lambda g, **_: g.submitted("fal-request"),
    "started": Generation.started,
    "succeeded": lambda g, now: g.succeeded(factories.output(), 1_512_000, now),
    "failed": lambda g, now, code="content_policy": g.failed(factories.failure(code=code), 0, now),
}


async def test_status_of_every_state(api: httpx.AsyncClient, move: Any) -> None:
    made = (await started(api))["id"]
    seen = [(await status(api, made))["status"]]
    for name in ("submitting", "submitted", "started"):
        await move(made, name)
        seen.append((await status(api, made))["status"])
    await move(made, "succeeded")
    ended = await status(api, made)
    generation = (await api.get(f"/v1/generations/{made}")).json()

    assert seen == ["pending"] * 4
    assert ended["status"] == "completed"
    assert ended["videos"] == [{"type": "url", "url": generation["output"]["video"]["url"], "mediaType": "video/mp4"}]
    gateway = ended["providerMetadata"]["gateway"]
    assert (gateway["cost"], gateway["estimatedCost"]) == ("1.512000", generation["cost"]["estimated"])
    assert ended["providerMetadata"]["fal"] == {
        "seed": generation["output"]["seed"],
        "requestId": generation["fal_request_id"],
    }


async def test_status_of_unconfirmed_is_pending(api: httpx.AsyncClient, move: Any) -> None:
    made = (await started(api))["id"]
    await move(made, "submitting", "unconfirmed")

    found = await status(api, made)
    assert (found["status"], found["providerMetadata"]["gateway"]["status"]) == ("pending", "unconfirmed")


async def test_status_of_failed_and_canceled(api: httpx.AsyncClient, move: Any) -> None:
    failed, canceled = [(await started(api))["id"] for _ in range(2)]
    await move(failed, "submitting", "submitted", "failed")
    await api.post(f"/v1/generations/{canceled}/cancel")
    error = (await api.get(f"/v1/generations/{failed}")).json()["error"]

    found = await status(api, failed)
    assert (found["status"], found["error"]) == ("error", error["message"])
    assert found["providerMetadata"]["gateway"]["error"] == {"code": error["code"], "retryable": error["retryable"]}
    assert (await status(api, canceled))["status"] == "cancelled"


async def test_status_reads_own_generations_of_every_route(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient
) -> None:
    native = (await api.post("/v1/generations", json=factories.create_body())).json()["id"]
    body = {"operation": {"id": native}}

    assert (await status(api, native))["status"] == "pending"
    assert (await other_api.post("/vercel/video-model/status", json=body)).status_code == 404


# --- models -----------------------------------------------------------------------------------------------------------


async def test_config_lists_models_of_the_tenant(app: FastAPI, api: httpx.AsyncClient, connect: Connect) -> None:
    tenant = await app.state.runtime.tenants.service.create("narrow", Limits(models=(T2V,)))
    narrow = await connect(tenant)

    models = (await api.get("/vercel/config")).json()["models"]
    assert [model["id"] for model in models] == list(SERVED)
    assert {model["modelType"] for model in models} == {"video"}
    assert models[0]["specification"] == {
        "specificationVersion": "v4",
        "provider": "seedance-gateway",
        "modelId": models[0]["id"],
    }
    assert [model["id"] for model in (await narrow.get("/vercel/config")).json()["models"]] == [T2V]


# --- the one-call form ------------------------------------------------------------------------------------------------


async def once(api: httpx.AsyncClient, **changes: Any) -> httpx.Response:
    accept = {"accept": "text/event-stream"}
    return await api.post("/vercel/video-model", json=call(**changes), headers=headers(**accept))


@asynccontextmanager
async def waiting_call(api: httpx.AsyncClient, **changes: Any) -> AsyncIterator[asyncio.Task[httpx.Response]]:
    """Send a call that waits. It is canceled if the test fails: the app would wait for it."""
    task = asyncio.create_task(once(api, **changes))
    try:
        yield task
    finally:
        task.cancel()


async def created_ids(api: httpx.AsyncClient, known: frozenset[str] = frozenset(), number: int = 1) -> list[str]:
    """Return the ids of new generations, as soon as there are so many."""
    for _ in range(2_000):
        found = [each["id"] for each in (await api.get("/v1/generations")).json()["data"] if each["id"] not in known]
        if len(found) == number:
            return found
        await asyncio.sleep(0.01)
    raise AssertionError("nothing was created")


def events(answer: httpx.Response) -> list[Any]:
    assert answer.headers["content-type"] == "text/event-stream"
    frames = [frame for frame in answer.text.split("\n\n") if frame.startswith("data: ")]
    return [from_json(frame.removeprefix("data: ")) for frame in frames]


ENDS = {
    "succeeded": ({}, {"type": "result"}),
    "content_policy": ({"code": "content_policy"}, {"errorType": "invalid_request_error", "statusCode": 422}),
    "upstream_unavailable": ({"code": "upstream_unavailable"}, {"errorType": "failed_dependency", "statusCode": 424}),
}


@pytest.mark.parametrize(("how", "wanted"), ENDS.values(), ids=ENDS)
async def test_one_call_ends_with_one_event(api: httpx.AsyncClient, move: Any, how: Any, wanted: Any) -> None:
    async with waiting_call(api, fps=30) as waiting:
        [made] = await created_ids(api)
        await move(made, "submitting", "submitted", "failed" if how else "succeeded", **how)
        [event] = events(await waiting)

    assert {name: event[name] for name in wanted} == wanted
    if event["type"] == "result":
        found = await status(api, made)
        assert (event["videos"], event["providerMetadata"]) == (found["videos"], found["providerMetadata"])
        assert [warning["feature"] for warning in event["warnings"]] == ["fps"]


async def test_one_call_of_canceled_generation_is_an_error(api: httpx.AsyncClient) -> None:
    async with waiting_call(api) as waiting:
        [made] = await created_ids(api)
        await api.post(f"/v1/generations/{made}/cancel")
        [event] = events(await waiting)

    assert (event["type"], event["statusCode"], event["message"]) == ("error", 424, "The generation was canceled.")


async def test_one_calls_above_the_limit_create_nothing(api: httpx.AsyncClient) -> None:
    async with waiting_call(api, prompt="one") as first, waiting_call(api, prompt="two") as second:
        created = await created_ids(api, number=2)
        refused = await once(api, prompt="one too many")
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_streams")
        assert await count(api) == 2
        for made in created:
            await api.post(f"/v1/generations/{made}/cancel")
        await asyncio.gather(first, second)


async def test_broken_one_call_is_resumed_and_delivered_one_is_not(
    app: FastAPI, api: httpx.AsyncClient, move: Any
) -> None:
    await disconnecting(app, api)
    [made] = await created_ids(api)
    async with waiting_call(api) as again:
        await move(made, "submitting", "submitted", "succeeded")
        [event] = events(await again)
    assert event["providerMetadata"]["gateway"]["generationId"] == made
    assert await count(api) == 1
    async with waiting_call(api) as fresh:
        [second] = await created_ids(api, frozenset({made}))
        await api.post(f"/v1/generations/{second}/cancel")
        await fresh


async def disconnecting(app: FastAPI, api: httpx.AsyncClient) -> None:
    """Send a one-call request as an ASGI server does, and disconnect after the first bytes of the stream."""
    begun = asyncio.Event()
    body = to_json(call())
    given = {**headers(), "authorization": api.headers["authorization"], "content-type": "application/json"}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/vercel/video-model",
        "raw_path": b"/vercel/video-model",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Any:
        if (message := next(messages, None)) is not None:
            return message
        await begun.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            begun.set()

    await app(scope, receive, send)
