"""OpenRouter's API of videos: submits, jobs, downloads, models, errors, callbacks, and submits that are sent again."""

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic_core import from_json

from service.config.settings import Settings
from service.domain.failure import Failure
from service.domain.models import registry
from service.domain.tenant import Limits, Tenant
from service.runtime import Runtime
from tests.conftest import Connect
from tests.integration.api.fal.test_queue import ended, moved
from tests.integration.api.fal.test_resends import ids_of, submit_and_disconnect
from tests.integration.api.fal.test_webhooks import delivered
from tests.support import factories
from tests.support.factories import Clock
from tests.support.receiver import Receiver

PUBLIC = "https://gateway.example/base"
VIDEOS = "/openrouter/api/v1/videos"
IMAGE, END = "https://example.com/a.png", "https://example.com/b.png"
FAMILY = "bytedance/seedance-2.0"
T2V, I2V, R2V = (f"{FAMILY}/{kind}-to-video" for kind in ("text", "image", "reference"))
FLASH = "bytedance/seedance-2.5-flash"
UNKNOWN = "gen_00000000000000000000000000"


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return factories.settings(
        redis_url,
        models=("*",),
        resolutions=("480p", "720p", "1080p", "4k"),
        bitrate_modes=("standard", "high"),
        public_url=PUBLIC,
    )


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def frame(url: str = IMAGE, **changes: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}, "frame_type": "first_frame", **changes}


def reference(kind: str, url: str) -> dict[str, Any]:
    return {"type": f"{kind}_url", f"{kind}_url": {"url": url}}


FRAMES = [frame(), frame(END, frame_type="last_frame")]


async def submit(client: httpx.AsyncClient, headers: Any = None, **changes: Any) -> httpx.Response:
    body = {"model": FAMILY, "prompt": "a cat", "duration": 4, **changes}
    return await client.post(VIDEOS, json=body, headers=headers)


async def submitted(client: httpx.AsyncClient, **changes: Any) -> str:
    answer = await submit(client, **changes)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def made(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    """Submit, and return the generation that ``/v1`` shows."""
    found: dict[str, Any] = (await client.get(f"/v1/generations/{await submitted(client, **changes)}")).json()
    return found


async def refused(client: httpx.AsyncClient, status: int, **changes: Any) -> tuple[str, dict[str, Any]]:
    """Submit, and return message and metadata of the error."""
    answer = await submit(client, **changes)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == status
    assert error["metadata"]["request_id"] == answer.headers["x-request-id"]
    return error["message"], error["metadata"]


# --- submits ----------------------------------------------------------------------------------------------------------


async def test_openrouter_submit(api: httpx.AsyncClient) -> None:
    answer = await submit(api)
    job = answer.json()
    assert answer.status_code == 202
    assert job == {"id": job["id"], "polling_url": f"{PUBLIC}{VIDEOS}/{job['id']}", "status": "pending"}
    assert await ids_of(api) == [job["id"]]


#: What a body has, the model that it selects, and the input of this model.
SELECTIONS: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    ({}, T2V, {}),
    ({"frame_images": [], "input_references": []}, T2V, {}),
    ({"frame_images": [frame()]}, I2V, {"image_url": IMAGE}),
    ({"frame_images": FRAMES}, I2V, {"image_url": IMAGE, "end_image_url": END}),
    ({"frame_images": FRAMES[::-1]}, I2V, {"image_url": IMAGE, "end_image_url": END}),
    ({"frame_images": [{"type": "image_url", "image_url": {"url": IMAGE}}]}, I2V, {"image_url": IMAGE}),
    ({"frame_images": [frame()], "input_references": [reference("image", END)]}, I2V, {"image_url": IMAGE}),
    ({"input_references": [reference("image", IMAGE)]}, R2V, {"image_urls": [IMAGE]}),
    (
        {
            "input_references": [
                reference("image", IMAGE),
                reference("video", "https://example.com/v.mp4"),
                reference("image", END),
                reference("audio", "https://example.com/a.mp3"),
            ]
        },
        R2V,
        {
            "image_urls": [IMAGE, END],
            "video_urls": ["https://example.com/v.mp4"],
            "audio_urls": ["https://example.com/a.mp3"],
        },
    ),
    ({"model": f"{FAMILY}-fast"}, f"{FAMILY}/fast/text-to-video", {}),
    ({"model": f"{FAMILY}-mini", "frame_images": [frame()]}, f"{FAMILY}/mini/image-to-video", {"image_url": IMAGE}),
    ({"model": "bytedance/seedance-2.5"}, "bytedance/seedance-2.5/text-to-video", {}),
    ({"model": FLASH}, "bytedance/seedance-2.5/flash/text-to-video", {}),
    ({"model": T2V}, T2V, {}),
    ({"model": f"fal-ai/{FAMILY}"}, T2V, {}),
    ({"model": I2V, "frame_images": [frame()]}, I2V, {"image_url": IMAGE}),
]


async def test_openrouter_inputs_select_the_model(api: httpx.AsyncClient) -> None:
    for changes, model, fields in SELECTIONS:
        found = await made(api, **changes)
        media = {name: value for name, value in found["input"].items() if "url" in name}
        assert (found["model"], media) == (model, fields), changes


#: Members of a body, and fields of the generation on ``/v1``.
FIELDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"duration": 7}, {"duration": "7"}),
    ({"duration": "7"}, {"duration": "7"}),
    ({"duration": None}, {"duration": "auto"}),
    ({"resolution": "480p"}, {"resolution": "480p"}),
    ({"resolution": "4K"}, {"resolution": "4k"}),
    ({"aspect_ratio": "9:16"}, {"aspect_ratio": "9:16"}),
    ({"size": "1280x720"}, {"resolution": "720p", "aspect_ratio": "16:9"}),
    ({"size": "480x854"}, {"resolution": "480p", "aspect_ratio": "9:16"}),
    ({"size": "1280x720", "resolution": "720p", "aspect_ratio": "16:9"}, {"aspect_ratio": "16:9"}),
    ({"size": "480p", "aspect_ratio": "1:1"}, {"resolution": "480p", "aspect_ratio": "1:1"}),
    ({"generate_audio": False}, {"generate_audio": False}),
    ({"provider": {"options": {"fal": {"bitrate_mode": "high"}}}}, {"bitrate_mode": "high"}),
    ({"provider": {"order": ["x"], "options": {"seed": {"watermark": True}}}}, {"resolution": "720p"}),
    ({"provider": {"options": {"byteplus": {"bitrate_mode": "high", "watermark": 1}}}}, {"bitrate_mode": "high"}),
    ({"bitrate_mode": "high"}, {"bitrate_mode": "high"}),
    ({"session_id": "s", "trace": {"trace_id": "t"}, "previous_job_id": None}, {"resolution": "720p"}),
]


async def test_openrouter_member_becomes_a_field(api: httpx.AsyncClient) -> None:
    for changes, fields in FIELDS:
        assert (await made(api, **changes))["input"].items() >= fields.items(), changes


async def test_openrouter_user_callback_and_own_fields(api: httpx.AsyncClient) -> None:
    own = {"metadata": {"order": "7"}, "priority": 3}
    options = {"fal": {"max_cost_usd": "9.00"}}
    found = await made(
        api, user="u1", callback_url="https://example.com/hook", provider={"options": options}, seed=None, **own
    )
    assert (found["end_user_id"], found["webhook_url"]) == ("u1", "https://example.com/hook")
    assert {name: found[name] for name in own} == own


async def test_openrouter_seed_of_a_model_that_has_it(api: httpx.AsyncClient) -> None:
    assert (await made(api, frame_images=[frame()], seed=3))["input"]["seed"] == 3


#: Changes of a body, and the error: its status, its ``param`` and a part of its message.
REFUSALS: list[tuple[dict[str, Any], int, str, str]] = [
    ({"model": ...}, 400, "model", "is required"),
    ({"model": 3}, 400, "model", "must be a string"),
    ({"model": "google/veo-3.1"}, 404, "model", f"you may use: {I2V}"),
    ({"model": FLASH, "frame_images": [frame()]}, 404, "model", f"{FLASH} has no image-to-video"),
    ({"model": FLASH, "frame_images": [frame()]}, 404, "model", "(bytedance/seedance-2.5/flash/text-to-video)"),
    ({"model": T2V, "frame_images": [frame()]}, 400, "frame_images", "takes no image"),
    ({"model": I2V}, 400, "frame_images", "needs an image"),
    ({"frame_images": [FRAMES[1]]}, 400, "frame_images", "needs an image"),
    ({"frame_images": [frame(), frame(END)]}, 400, "frame_images.1", "contradicts frame_images.0"),
    ({"frame_images": [frame("ftp://a/b.png")]}, 400, "frame_images.0", "http"),
    ({"frame_images": [frame(frame_type="middle")]}, 400, "frame_images.0.frame_type", "first_frame"),
    ({"frame_images": [{"type": "image_url"}]}, 400, "frame_images.0.image_url", "is required"),
    ({"input_references": [{"type": "video_url"}]}, 400, "input_references.0", "video_url"),
    (
        {"input_references": [reference("image", IMAGE), reference("video", "x"), reference("image", "y")]},
        400,
        "input_references.2",
        "input_references.1: ",
    ),
    ({"prompt": ...}, 400, "prompt", "is required"),
    ({"prompt": ""}, 400, "prompt", "blank"),
    ({"duration": 3}, 400, "duration", "'4'"),
    ({"duration": 16}, 400, "duration", "'15'"),
    ({"model": FLASH, "duration": ...}, 400, "duration", "is required"),
    ({"resolution": "2K"}, 400, "resolution", "'720p'"),
    ({"size": "100x100"}, 400, "size", "1280x720"),
    ({"size": "large"}, 400, "size", "like 1280x720"),
    ({"size": "1280x720", "aspect_ratio": "9:16"}, 400, "size", "contradicts aspect_ratio"),
    ({"aspect_ratio": "2:3"}, 400, "aspect_ratio", "16:9"),
    ({"seed": 3}, 400, "seed", "unknown field"),
    ({"previous_job_id": UNKNOWN}, 400, "previous_job_id", "has no such field"),
    ({"upscale_factor": 2}, 400, "upscale_factor", "has no such field"),
    ({"colour": "red"}, 400, "colour", "unknown field"),
    ({"provider": {"options": {"fal": {"colour": 1}}}}, 400, "provider.options.fal.colour", "unknown field"),
    ({"user": "a", "end_user_id": "b"}, 400, "end_user_id", "contradicts user"),
    ({"user": ""}, 400, "user", "at least 1"),
    ({"callback_url": "nowhere"}, 400, "callback_url", "URL"),
    ({"callback_url": "http://10.0.0.1/"}, 400, "callback_url", ""),
    ({"max_cost_usd": "0.01"}, 402, "max_cost_usd", "0.01"),
]


async def test_openrouter_refusal_names_the_member(api: httpx.AsyncClient) -> None:
    for changes, status, param, text in REFUSALS:
        body = {"model": FAMILY, "prompt": "a cat", "duration": 4, **changes}
        answer = await api.post(VIDEOS, json={name: value for name, value in body.items() if value is not ...})
        assert answer.status_code == status, (changes, answer.text)
        error = answer.json()["error"]
        assert (error["code"], error["metadata"]["param"]) == (status, param), (changes, error)
        assert text in error["message"], (changes, error)
    assert await ids_of(api) == []


async def test_openrouter_body_that_is_no_object_is_400(api: httpx.AsyncClient) -> None:
    for content in (b"[]", b"{", b""):
        answer = await api.post(VIDEOS, content=content, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, 400)


async def test_openrouter_budget_refusal_has_its_amounts(connect: Connect, runtime: Runtime) -> None:
    client = await connect(await runtime.tenants.service.create("poor", Limits(monthly_budget=10_000)))
    message, metadata = await refused(client, 402)
    assert "budget" in message
    assert (metadata["error_type"], metadata["retryable"]) == ("budget_exceeded", False)
    assert (metadata["scope"], metadata["limit"]) == ("tenant_month", "0.010000")


async def test_openrouter_forbidden_model_names_usable_ones(connect: Connect, runtime: Runtime) -> None:
    client = await connect(await runtime.tenants.service.create("some", Limits(models=(I2V,))))
    message, metadata = await refused(client, 403)
    assert (metadata["error_type"], metadata["param"]) == ("model_forbidden", "model")
    assert message.endswith(f"You may use: {I2V}.")
    await submitted(client, frame_images=[frame()])


async def test_openrouter_without_a_key_is_401(anonymous: httpx.AsyncClient) -> None:
    for path in ("", "/models", f"/{UNKNOWN}", f"/{UNKNOWN}/content"):
        for value in (None, "Bearer sgk_wrong", "Key x"):
            headers = {} if value is None else {"authorization": value}
            answer = await anonymous.request("GET" if path else "POST", f"{VIDEOS}{path}", headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, 401), (path, value)
            assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_openrouter_other_path_and_method_have_its_form(api: httpx.AsyncClient) -> None:
    assert (await api.get("/openrouter/api/v1/chat")).json()["error"]["code"] == 404
    answer = await api.delete(VIDEOS)
    assert (answer.status_code, answer.json()["error"]["code"], answer.headers["allow"]) == (405, 405, "OPTIONS, POST")


class TestDefaultModels:
    """The seed model alone is enabled."""

    @pytest.fixture
    def settings(self, redis_url: str) -> Settings:
        return factories.settings(redis_url)

    async def test_openrouter_kind_not_enabled_is_404(self, api: httpx.AsyncClient) -> None:
        message, metadata = await refused(api, 404)
        assert (metadata["error_type"], metadata["param"]) == ("model_not_found", "model")
        assert f"{FAMILY} is not enabled here for text-to-video" in message
        assert f"image-to-video ({I2V})" in message
        message, _ = await refused(api, 404, model=f"{FAMILY}-mini")
        assert f"you may use: {I2V}" in message

    async def test_openrouter_models_are_those_enabled(self, api: httpx.AsyncClient) -> None:
        entries = (await api.get(f"{VIDEOS}/models")).json()["data"]
        assert [entry["id"] for entry in entries] == [FAMILY, I2V]

    async def test_openrouter_url_without_public_url_is_a_path(self, api: httpx.AsyncClient) -> None:
        job = (await submit(api, frame_images=[frame()])).json()
        assert job["polling_url"] == f"{VIDEOS}/{job['id']}"


# --- jobs and downloads -----------------------------------------------------------------------------------------------


async def test_openrouter_job_of_each_end(api: httpx.AsyncClient, runtime: Runtime, clock: Clock) -> None:
    ends: dict[str, dict[str, Any]] = {
        "completed": {},
        "failed": {"failure": Failure("content_policy", "No.")},
        "expired": {"failure": Failure("expired", "It stayed queued for too long.")},
    }
    for status, how in ends.items():
        job_id = await submitted(api)
        await moved(runtime, clock, job_id, "submitting", "submitted", "started")
        assert (await api.get(f"{VIDEOS}/{job_id}")).json() == {
            "id": job_id,
            "polling_url": f"{PUBLIC}{VIDEOS}/{job_id}",
            "status": "in_progress",
            "generation_id": job_id,
        }
        await ended(runtime, clock, job_id, **how)
        job = (await api.get(f"{VIDEOS}/{job_id}")).json()
        assert job["status"] == status
        assert job["usage"] == {"cost": 0.0 if how else 1.512, "is_byok": False}
        assert job.get("error") == (how["failure"].message if how else None)
        assert ("unsigned_urls" in job) is not bool(how)


async def test_openrouter_job_canceled_on_v1_is_cancelled(api: httpx.AsyncClient) -> None:
    job_id = await submitted(api)
    await api.post(f"/v1/generations/{job_id}/cancel")
    job = (await api.get(f"{VIDEOS}/{job_id}")).json()
    assert (job["status"], job["usage"]["cost"]) == ("cancelled", 0.0)


async def test_openrouter_reads_a_generation_of_v1(api: httpx.AsyncClient) -> None:
    g = (await api.post("/v1/generations", json=factories.create_body())).json()
    assert (await api.get(f"{VIDEOS}/{g['id']}")).json()["status"] == "pending"


async def test_openrouter_job_of_another_tenant_is_404(api: httpx.AsyncClient, connect: Connect) -> None:
    job_id = await submitted(api)
    other = await connect()
    for path in (job_id, UNKNOWN, "x", f"{job_id}/content", f"{UNKNOWN}/content"):
        answer = await other.get(f"{VIDEOS}/{path}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, 404)


async def test_openrouter_polls_do_not_use_up_the_rate_limit(connect: Connect, runtime: Runtime) -> None:
    client = await connect(await runtime.tenants.service.create("slow", Limits(requests_per_minute=1)))
    job_id = await submitted(client)
    for _ in range(5):
        assert (await client.get(f"{VIDEOS}/{job_id}")).status_code == 200
    assert (await client.get(f"{VIDEOS}/{UNKNOWN}")).status_code == 429


async def test_openrouter_content(api: httpx.AsyncClient, runtime: Runtime, clock: Clock) -> None:
    job_id = await submitted(api)
    early = await api.get(f"{VIDEOS}/{job_id}/content")
    assert (early.status_code, early.json()["error"]["code"]) == (409, 409)
    await moved(runtime, clock, job_id, "submitting", "submitted", "started")
    await ended(runtime, clock, job_id)
    url = (await api.get(f"{VIDEOS}/{job_id}")).json()["unsigned_urls"][0]
    assert url == f"{PUBLIC}{VIDEOS}/{job_id}/content?index=0"
    answers = [await api.get(path) for path in (url.removeprefix(PUBLIC), f"/v1/generations/{job_id}/video")]
    assert [answer.status_code for answer in answers] == [307, 307]
    assert len({answer.headers["location"] for answer in answers}) == 1
    other = await api.get(f"{VIDEOS}/{job_id}/content?index=1")
    assert (other.status_code, other.json()["error"]["code"]) == (404, 404)
    wrong = await api.get(f"{VIDEOS}/{job_id}/content?index=first")
    assert (wrong.status_code, wrong.json()["error"]["metadata"]["param"]) == (400, "index")


# --- models -----------------------------------------------------------------------------------------------------------


async def entries_of(client: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    answer = await client.get(f"{VIDEOS}/models")
    assert answer.status_code == 200, answer.text
    return {entry["id"]: entry for entry in answer.json()["data"]}


async def test_openrouter_models_have_families_and_models(api: httpx.AsyncClient) -> None:
    entries, found = await entries_of(api), registry.build(enabled=["*"])
    assert list(entries) == [*found.families, *found.creatable]
    assert all(entry["canonical_slug"] == name for name, entry in entries.items())


async def test_openrouter_model_has_its_values(api: httpx.AsyncClient) -> None:
    entries = await entries_of(api)
    entry = entries[FAMILY]
    assert entry["supported_resolutions"] == ["480p", "720p", "1080p", "4K"]
    assert entry["supported_durations"] == list(range(4, 16))
    assert entry["supported_aspect_ratios"] == ["21:9", "16:9", "4:3", "1:1", "3:4", "9:16"]
    assert {"1280x720", "720x1280", "1920x1080"} <= set(entry["supported_sizes"])
    assert entry["supported_frame_images"] == ["first_frame", "last_frame"]
    assert (entry["generate_audio"], entry["seed"], entry["name"]) == (True, True, "Seedance 2.0")
    assert entry["allowed_passthrough_parameters"][0] == "bitrate_mode"
    assert entry["pricing_skus"] == {
        "video_tokens": "0.000014",
        "video_tokens_4k": "0.000008",
        "video_tokens_with_video_input": "0.0000084",
        "duration_seconds_720p": "0.3034",
        "duration_seconds_1080p": "0.682",
        "duration_seconds_4k": "1.56",
    }
    assert entries[T2V]["supported_frame_images"] == []
    assert entries[T2V]["seed"] is False
    assert "video_tokens_with_video_input" not in entries[T2V]["pricing_skus"]
    assert entries["fal-ai/bytedance/seedance/v1/pro/fast/image-to-video"]["supported_frame_images"] == ["first_frame"]


async def test_openrouter_models_are_those_of_the_tenant(connect: Connect, runtime: Runtime) -> None:
    limits = Limits(models=(I2V,), resolutions=("480p",), durations=("auto", "5"))
    entries = await entries_of(await connect(await runtime.tenants.service.create("some", limits)))
    assert list(entries) == [FAMILY, I2V]
    assert entries[FAMILY]["supported_resolutions"] == ["480p"]
    assert entries[FAMILY]["supported_durations"] == [5]
    assert all(size.startswith("480x") or size.endswith("x480") for size in entries[FAMILY]["supported_sizes"])
    assert set(entries[FAMILY]["pricing_skus"]) == {"video_tokens"}


async def test_openrouter_every_listed_value_is_accepted(api: httpx.AsyncClient) -> None:
    """Take each model at the last of its values, with the media of its kind."""
    media = {
        "image-to-video": {"frame_images": [frame()]},
        "reference-to-video": {"input_references": [reference("image", IMAGE)]},
    }
    entries = await entries_of(api)
    for model in registry.build(enabled=["*"]).creatable.values():
        entry = entries[model.id]
        changes = {**media.get(model.kind, {}), "duration": entry["supported_durations"][-1]}
        if entry["supported_sizes"]:
            changes["size"] = entry["supported_sizes"][-1]
        else:
            changes["resolution"] = entry["supported_resolutions"][-1]
        if entry["seed"]:
            changes["seed"] = 3
        found = await made(api, model=model.id, **changes)
        assert found["model"] == model.id


# --- submits that are sent again --------------------------------------------------------------------------------------


async def test_openrouter_idempotency_key(api: httpx.AsyncClient) -> None:
    key = {"idempotency-key": "one"}
    first, second = [await submit(api, headers=key) for _ in range(2)]
    assert first.json()["id"] == second.json()["id"]
    assert (first.headers.get("idempotency-replayed"), second.headers["idempotency-replayed"]) == (None, "true")
    message, metadata = await refused(api, 400, headers=key, prompt="a dog")
    assert (metadata["error_type"], metadata["param"]) == ("idempotency_mismatch", "Idempotency-Key")
    assert message


@pytest.mark.parametrize("how", ["gone", "broken"])
async def test_openrouter_resend_after_lost_response(app: FastAPI, api: httpx.AsyncClient, how: str) -> None:
    body = {"model": FAMILY, "prompt": "a cat", "duration": 4}
    await submit_and_disconnect(app, api, path=VIDEOS, how=how, body=body)
    (lost,) = await ids_of(api)
    again = await submit(api)
    assert (again.status_code, again.json()["id"]) == (202, lost)
    assert await submitted(api) != lost
    assert len(await ids_of(api)) == 2


# --- callbacks --------------------------------------------------------------------------------------------------------


async def test_openrouter_callback_has_its_form_and_signature(
    api: httpx.AsyncClient, runtime: Runtime, clock: Clock, tenant: Tenant, receiver: Receiver
) -> None:
    for number, status in enumerate(("completed", "failed", "cancelled")):
        job_id = await submitted(api, callback_url=receiver.url)
        if status == "cancelled":
            await api.post(f"/v1/generations/{job_id}/cancel")
        else:
            await moved(runtime, clock, job_id, "submitting", "submitted", "started")
            how = {"failure": Failure("content_policy", "No.")} if status == "failed" else {}
            await ended(runtime, clock, job_id, **how)
        await delivered(runtime)
        came = receiver.received[number]
        parts = dict(part.split("=", 1) for part in came.headers["x-openrouter-signature"].split(","))
        message = f"{parts['t']},".encode() + came.body
        assert parts["v1"] == hmac.new(tenant.webhook_secret.encode(), message, hashlib.sha256).hexdigest()
        assert came.headers["x-openrouter-idempotency-key"] == came.headers["webhook-id"]
        event = came.verified(tenant.webhook_secret)  # Standard Webhooks too
        assert event == from_json(came.body)
        assert event["type"] == f"video.generation.{status}"
        job = (await api.get(f"{VIDEOS}/{job_id}")).json()
        assert event["data"] == {**{name: job[name] for name in job if name != "polling_url"}, "model": T2V}


async def test_openrouter_default_webhook_has_the_form_of_v1(
    connect: Connect, runtime: Runtime, receiver: Receiver
) -> None:
    owner = await runtime.tenants.service.create("own", Limits(webhook_url=receiver.url))
    client = await connect(owner)
    job_id = await submitted(client)
    await client.post(f"/v1/generations/{job_id}/cancel")
    await delivered(runtime)
    assert receiver.received[0].verified(owner.webhook_secret)["type"] == "generation.canceled"
