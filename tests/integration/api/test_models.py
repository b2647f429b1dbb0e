"""Requests by model, over every model that the gateway can serve: values, faults, prices, limits of tenants, reads."""

import json
from typing import Any

import httpx
import jsonschema
import pytest
from fastapi import FastAPI

from service.config.settings import Settings
from service.domain.models import registry
from service.domain.models.model import Model
from service.domain.pricing import Rates, usd
from service.domain.tenant import Limits
from tests.conftest import Connect
from tests.support import factories

SEED = "bytedance/seedance-2.0/image-to-video"
T2V = "bytedance/seedance-2.0/text-to-video"
SERVED = registry.build(enabled=["*"]).creatable
COMPLETION = registry.build(enabled=["*"]).known["bytedance/seedance-2.5/draft/complete"]
IMAGE = "https://example.com/a.png"
PUBLIC = "https://gateway.example"


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return factories.settings(
        redis_url,
        models=("*",),
        resolutions=("480p", "720p", "1080p", "4k"),
        bitrate_modes=("standard", "high"),
        public_url=PUBLIC,
    )


def least(model: Model, **changes: Any) -> dict[str, Any]:
    """Return the smallest body of a model."""
    body: dict[str, Any] = {"model": model.id, "prompt": "a cat"}
    if "image_url" in model.fields:
        body["image_url"] = IMAGE
    if model.fields["duration"].required:
        body["duration"] = model.durations[0]
    return {**body, **changes}


def most(model: Model) -> dict[str, Any]:
    """Return a body with every field of a model, each at its last value."""
    body = least(model)
    for name, field in model.fields.items():
        match field.type:
            case "choice" | "duration":
                body[name] = field.choices[-1]
            case "boolean":
                body[name] = not field.default
            case "integer":
                body[name] = field.most
            case "image":
                body[name] = IMAGE
            case "images" | "videos" | "audios":
                body[name] = [IMAGE] * ((field.files and field.files.count) or 0)
    if "task" in model.fields:
        body["aspect_ratio"] = "auto"
    if model.files is not None:
        body["image_urls"] = [IMAGE] * (model.files - len(body["video_urls"]) - len(body["audio_urls"]))
    return body


async def create(api: httpx.AsyncClient, body: dict[str, Any], **headers: str) -> httpx.Response:
    return await api.post("/v1/generations", json=body, headers=headers)


async def faults(api: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, str]:
    answer = await create(api, body)
    assert answer.status_code == 422, answer.text
    return {fault["pointer"]: fault["detail"] for fault in answer.json()["errors"]}


async def test_every_model_accepts_least_and_most(api: httpx.AsyncClient) -> None:
    for model in SERVED.values():
        for body in (least(model), most(model)):
            answer = await create(api, body)
            assert answer.status_code == 202, (model.id, answer.text)
            made = answer.json()
            assert made["model"] == model.id
            assert set(made["input"]) <= set(model.fields), model.id
            assert {name: made["input"][name] for name in body if name != "model"} == {
                name: value for name, value in body.items() if name != "model"
            }


async def test_every_model_holds_its_estimate(api: httpx.AsyncClient) -> None:
    for model in SERVED.values():
        for body in (least(model), most(model)):
            quote = (await api.post("/v1/generations/estimate", json=body)).json()
            made = (await create(api, body)).json()
            given = made["input"]
            audio = given.get("generate_audio", True)
            videos = model.input_videos if given.get("video_urls") else None
            seconds = None if videos is None else videos.longest_seconds
            parts = Rates.of(model).parts(given["resolution"], given["duration"], audio=audio, input_seconds=seconds)
            assert made["cost"]["estimated"] == quote["estimated"] == usd(parts.cost), model.id
            assert (quote["model"], quote["parts"]["formula"]) == (model.id, usd(parts.formula))
            assert quote["parts"]["seconds"] == parts.seconds
            assert quote["parts"]["input_seconds"] == (None if seconds is None else float(seconds))
            assert (quote["parts"]["factor"], quote["parts"]["decided_by"]) == (f"{parts.factor:f}", parts.decided_by)


async def test_every_model_refuses_one_beyond_its_values(api: httpx.AsyncClient) -> None:
    for model in SERVED.values():
        wrong: dict[str, Any] = {
            "resolution": "8k",
            "duration": str(model.longest_seconds + 1),
            "aspect_ratio": "2:1",
            "unknown": 1,
            "draft_id": "x",
        }
        found = await faults(api, least(model, **wrong))
        assert set(found) == {f"/{name}" for name in wrong}, model.id
        if model.id != SEED:
            assert all(text.endswith(f" ({model.id})") for text in found.values()), found
        if required := {f"/{name}" for name, field in model.fields.items() if field.required}:
            assert set(await faults(api, {"model": model.id})) == required


async def test_every_model_refuses_fields_of_others(api: httpx.AsyncClient) -> None:
    everything: dict[str, Any] = {
        "image_url": IMAGE,
        "end_image_url": IMAGE,
        "seed": 7,
        "codec": "auto",
        "camera_fixed": True,
        "enable_safety_checker": False,
        "generate_audio": True,
        "bitrate_mode": "high",
        "task": "editing",
    }
    for model in SERVED.values():
        others = {name: value for name, value in everything.items() if name not in model.fields}
        found = await faults(api, least(model, **others)) if others else {}
        assert set(found) == {f"/{name}" for name in others}, model.id


async def test_unknown_capability_says_who_can_enable_it(api: httpx.AsyncClient) -> None:
    flash = SERVED["bytedance/seedance-2.5/flash/text-to-video"]

    found = await faults(api, least(flash, bitrate_mode="high"))

    assert "an operator can configure it in GATEWAY_MODELS_FILE" in found["/bitrate_mode"]


async def test_draft_is_accepted_where_the_model_has_it(api: httpx.AsyncClient) -> None:
    for model in SERVED.values():
        if "draft" not in model.fields:
            assert set(await faults(api, least(model, draft=True))) == {"/draft"}, model.id
            continue
        plain, draft = [(await create(api, least(model, draft=value))).json()["input"] for value in (False, True)]
        assert draft == {**plain, "draft": True}


@pytest.mark.parametrize("name", ["x/y/z", "", "bytedance/seedance-2.0"])
async def test_unknown_model_lists_those_of_the_tenant(app: FastAPI, connect: Connect, name: str) -> None:
    tenant = await app.state.runtime.tenants.service.create("acme", Limits(models=(T2V,)))

    found = await faults(await connect(tenant), {"model": name, "prompt": "a cat"})

    assert found == {"/model": f"must be a model that you may use: {T2V}"}


@pytest.mark.parametrize("value", [7, [], {}, True])
async def test_model_of_wrong_type_is_one_fault(api: httpx.AsyncClient, value: Any) -> None:
    assert await faults(api, {"model": value, "prompt": "a cat"}) == {"/model": "must be a string"}


async def test_model_null_and_explicit_default_are_the_default(api: httpx.AsyncClient) -> None:
    body = {"prompt": "a cat", "image_url": IMAGE}
    answers = [
        await create(api, {**body, **model}, **{"idempotency-key": "one"})
        for model in ({}, {"model": None}, {"model": SEED}, {"model": f"fal-ai/{SEED}"})
    ]

    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_idempotency_key_with_another_model_is_refused(api: httpx.AsyncClient) -> None:
    first = await create(api, {"model": T2V, "prompt": "a cat"}, **{"idempotency-key": "two"})
    again = await create(api, {"model": T2V, "prompt": "a cat"}, **{"idempotency-key": "two"})
    other = await create(
        api, {"model": "bytedance/seedance-2.0/fast/text-to-video", "prompt": "a cat"}, **{"idempotency-key": "two"}
    )

    assert first.json()["id"] == again.json()["id"]
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")


async def test_model_not_of_the_tenant_is_403(app: FastAPI, connect: Connect) -> None:
    tenant = await app.state.runtime.tenants.service.create("acme", Limits(models=(T2V,)))
    client = await connect(tenant)

    for body in ({"prompt": "a cat", "image_url": IMAGE}, least(SERVED[SEED])):
        for path in ("/v1/generations", "/v1/generations/estimate"):
            refused = await client.post(path, json=body)
            assert (refused.status_code, refused.json()["code"]) == (403, "model_forbidden")
    fal = await client.post(f"/fal/queue/{SEED}", json={"prompt": "a cat", "image_url": IMAGE})
    assert fal.status_code == 403
    assert (await create(client, least(SERVED[T2V]))).status_code == 202


async def test_references_beyond_the_limit_of_the_tenant_are_403(app: FastAPI, connect: Connect) -> None:
    service = app.state.runtime.tenants.service
    model = SERVED["bytedance/seedance-2.0/fast/reference-to-video"]
    for most in (0, 2):
        client = await connect(await service.create("acme", Limits(references=most)))
        for count in (most, most + 1):
            body = least(model, image_urls=[IMAGE] * count) | {"video_urls": [], "audio_urls": None}
            for path in ("/v1/generations", "/v1/generations/estimate"):
                answer = await client.post(path, json=body)
                assert (answer.status_code == 403) == (count > most), (path, count)
            fal = await client.post(f"/fal/queue/{model.id}", json={"prompt": "a", "image_urls": [IMAGE] * count})
            assert (fal.status_code == 403) == (count > most)
        assert answer.json()["code"] == "references_forbidden"
        assert (await create(client, least(SERVED[SEED]))).status_code == 202


async def test_tenant_resolution_is_refused_with_values_of_the_model(app: FastAPI, connect: Connect) -> None:
    tenant = await app.state.runtime.tenants.service.create("acme", Limits(resolutions=("480p", "4k")))
    fast = SERVED["bytedance/seedance-2.0/fast/text-to-video"]

    found = await faults(await connect(tenant), least(fast, resolution="720p"))

    assert found == {"/resolution": "must be '480p'"}


async def test_models_list_has_what_the_tenant_may_use(app: FastAPI, connect: Connect, api: httpx.AsyncClient) -> None:
    tenant = await app.state.runtime.tenants.service.create("acme", Limits(models=(T2V,), durations=("4", "auto")))
    client = await connect(tenant)

    every = (await api.get("/v1/models")).json()["data"]
    own = (await client.get("/v1/models")).json()["data"]

    assert [model["id"] for model in every] == [*SERVED, COMPLETION.id]
    assert [model["id"] for model in every if model["default"]] == [SEED]
    assert [(model["id"], model["durations"]) for model in own] == [(T2V, ["auto", "4"])]
    assert (await client.get(f"/v1/models/{SEED}")).status_code == 404
    assert (await client.get("/v1/models/x/y/z")).status_code == 404


async def test_model_schema_accepts_what_the_gateway_accepts(api: httpx.AsyncClient) -> None:
    for model in SERVED.values():
        schema = (await api.get(f"/v1/models/{model.id}")).json()["input_schema"]
        check = jsonschema.Draft202012Validator(schema)
        for body in (least(model), most(model)):
            check.validate(body)
        for name, value in (("duration", str(model.longest_seconds + 1)), ("resolution", "8k"), ("unknown", 1)):
            assert not check.is_valid(least(model, **{name: value})), (model.id, name)


async def test_schema_of_completion_has_no_draft_id(api: httpx.AsyncClient) -> None:
    schema = (await api.get(f"/v1/models/{COMPLETION.id}")).json()["input_schema"]
    check = jsonschema.Draft202012Validator(schema)
    check.validate({})
    check.validate({"codec": "H265", "metadata": {"a": "1"}})
    for wrong in ({"draft_id": "x"}, {"duration": "5"}, {"prompt": "x"}, {"codec": "VP9"}):
        assert not check.is_valid(wrong), wrong


async def test_model_id_can_be_percent_encoded(api: httpx.AsyncClient) -> None:
    answer = await api.get(f"/v1/models/{T2V.replace('/', '%2F')}")

    assert (answer.status_code, answer.json()["id"]) == (200, T2V)


async def test_fal_surface_serves_every_model(api: httpx.AsyncClient) -> None:
    for model in SERVED.values():
        body = {name: value for name, value in least(model).items() if name != "model"}
        forgiven = {**body, "duration": f"{model.durations[-1]}s", "style": "x"}
        for endpoint in (model.id, f"fal-ai/{model.id.removeprefix('fal-ai/')}"):
            answer = await api.post(f"/fal/queue/{endpoint}", content=json.dumps(forgiven))
            assert answer.status_code == 200, (endpoint, answer.text)
            owner, app, *_ = model.id.split("/")
            url = f"{PUBLIC}/fal/queue/{owner}/{app}/requests/{answer.json()['request_id']}"
            assert answer.json()["response_url"] == url
            status = await api.get(f"{url.removeprefix(PUBLIC)}/status")
            assert (status.status_code, status.json()["response_url"]) == (202, url)
            read = (await api.get(f"/v1/generations/{answer.json()['request_id']}")).json()
            assert (read["model"], read["input"]["duration"]) == (model.id, model.durations[-1])


async def test_fal_surface_ignores_fields_of_other_models(api: httpx.AsyncClient) -> None:
    answer = await api.post(f"/fal/queue/{T2V}", json={"prompt": "a cat", "image_url": IMAGE, "codec": "h264"})

    assert (answer.status_code, answer.headers["x-fal-ignored-fields"]) == (200, "image_url, codec")
    newer = "bytedance/seedance-2.5/text-to-video"
    created = await api.post(f"/fal/queue/{newer}", json={"prompt": "a cat", "codec": "h264", "draft": False})
    read = (await api.get(f"/v1/generations/{created.json()['request_id']}")).json()
    assert (read["input"]["codec"], "draft" in read["input"]) == ("H264", False)
