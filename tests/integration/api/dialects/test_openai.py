"""``/openai/v1/videos`` as an ASGI app: the same generations as in ``/v1``, in OpenAI's form."""

from datetime import timedelta
from typing import Any, Final

import httpx
import pytest
from fastapi import FastAPI

from service.config.settings import Settings
from service.domain.tenant import Limits, Scope, Tenant
from tests.conftest import Connect
from tests.support import factories, pictures
from tests.support.factories import Clock, create_body

VIDEOS: Final = "/openai/v1/videos"
IMAGE: Final = "bytedance/seedance-2.0/image-to-video"
TEXT: Final = "bytedance/seedance-2.0/text-to-video"
REFERENCE: Final = "bytedance/seedance-2.0/reference-to-video"
OLD: Final = "fal-ai/bytedance/seedance/v1/pro/text-to-video"
PHOTO: Final = "https://example.com/cat.png"
PROMPT: Final = "a cat"
UNKNOWN: Final = "gen_00000000000000000000000000"
FIRST, REPEAT = {"x-stainless-retry-count": "0"}, {"x-stainless-retry-count": "1"}


@pytest.fixture
def settings(redis_url: str, sandbox_url: str) -> Settings:
    return factories.sandbox_settings(
        redis_url, sandbox_url, models=[IMAGE, TEXT, OLD, REFERENCE], max_inline_bytes=300_000
    )


async def create(client: httpx.AsyncClient, headers: Any = None, **changes: Any) -> httpx.Response:
    body = {"prompt": PROMPT, "input_reference": {"image_url": PHOTO}, **changes}
    return await client.post(VIDEOS, json={k: v for k, v in body.items() if v is not ...}, headers=headers)


async def created(client: httpx.AsyncClient, headers: Any = None, **changes: Any) -> str:
    answer = await create(client, headers, **changes)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


async def ids_of(client: httpx.AsyncClient) -> list[str]:
    return [g["id"] for g in (await client.get("/v1/generations")).json()["data"]]


# --- create -----------------------------------------------------------------------------------------------------------


async def test_create_makes_the_generation_of_v1(api: httpx.AsyncClient) -> None:
    answer = await create(api, seconds="5", size="1280x720", end_user_id="customer-7", metadata={"order": "1"}, seed=7)

    g = (await api.get(f"/v1/generations/{answer.json()['id']}")).json()
    assert g["input"] == {
        "prompt": PROMPT,
        "image_url": PHOTO,
        "resolution": "720p",
        "aspect_ratio": "16:9",
        "duration": "5",
        "generate_audio": True,
        "seed": 7,
    }
    assert (g["end_user_id"], g["metadata"], g["model"]) == ("customer-7", {"order": "1"}, IMAGE)
    assert answer.json() == {
        "id": g["id"],
        "object": "video",
        "model": IMAGE,
        "status": "queued",
        "progress": 0,
        "created_at": answer.json()["created_at"],
        "completed_at": None,
        "expires_at": None,
        "seconds": "5",
        "size": "1280x720",
        "prompt": PROMPT,
        "error": None,
        "remixed_from_video_id": None,
        "cost": {"currency": "USD", "estimated": g["cost"]["estimated"], "actual": None},
    }
    assert answer.headers["openai-poll-after-ms"].isdecimal()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"seconds": 7}, {"duration": "7"}),
        ({"seconds": "auto"}, {"duration": "auto"}),
        ({"duration": "6"}, {"duration": "6"}),
        ({"size": "480x854"}, {"resolution": "480p", "aspect_ratio": "9:16"}),
        ({"resolution": "480p", "aspect_ratio": "1:1"}, {"resolution": "480p", "aspect_ratio": "1:1"}),
        ({"seconds": None, "size": None, "model": None}, {"duration": "auto", "resolution": "720p"}),
        ({"input_reference": PHOTO}, {"image_url": PHOTO}),
        ({"input_reference": ..., "image_url": PHOTO}, {"image_url": PHOTO}),
        ({"end_image_url": PHOTO}, {"end_image_url": PHOTO}),
        ({"generate_audio": False}, {"generate_audio": False}),
        ({"model": TEXT, "input_reference": ..., "size": "1280x720"}, {"aspect_ratio": "16:9"}),
        ({"model": f"fal-ai/{IMAGE}"}, {"image_url": PHOTO}),
        ({"model": REFERENCE}, {"image_urls": [PHOTO]}),
        ({"model": REFERENCE, "input_reference": ..., "image_urls": [PHOTO, PHOTO]}, {"image_urls": [PHOTO, PHOTO]}),
    ],
)
async def test_create_translates_fields(api: httpx.AsyncClient, given: Any, expected: Any) -> None:
    name = await created(api, **given)
    found = (await api.get(f"/v1/generations/{name}")).json()["input"]
    assert expected.items() <= found.items()


@pytest.mark.parametrize(
    ("given", "param", "code", "text"),
    [
        ({"prompt": ...}, "prompt", "invalid", "prompt: is required"),
        ({"prompt": " "}, "prompt", "invalid", "must not be blank"),
        ({"prompt": 5}, "prompt", "invalid", "must be a string"),
        ({"seconds": "99"}, "seconds", "invalid", "seconds: must be 'auto', '4'"),
        ({"seconds": 4.5}, "seconds", "invalid", "seconds: must be"),
        ({"size": "1792x1024"}, "size", "invalid", "must be a size of bytedance/seedance-2.0/image-to-video: "),
        ({"size": "1920x1080"}, "size", "invalid", "must be a size of"),
        ({"size": "720p"}, "size", "invalid", "like 1280x720"),
        ({"size": 720}, "size", "invalid", "must be a string"),
        ({"size": "1280x720", "resolution": "720p"}, "size", "invalid", "give this or resolution, not both"),
        ({"seconds": "4", "duration": "5"}, "seconds", "invalid", "give this or duration, not both"),
        ({"image_url": PHOTO}, "input_reference", "invalid", "give this or image_url, not both"),
        ({"input_reference": {"file_id": "file-1"}}, "input_reference.file_id", "invalid", "no files are stored"),
        ({"input_reference": {"url": PHOTO}}, "input_reference", "invalid", "an object with image_url"),
        ({"input_reference": [PHOTO]}, "input_reference", "invalid", "an object with image_url"),
        ({"input_reference": "cat.png"}, "input_reference", "invalid", "must be an absolute http or https URL"),
        ({"input_reference": ...}, "input_reference", "invalid", f"needs an image; models that need none: {TEXT}"),
        ({"model": TEXT}, "input_reference", "invalid", f"takes no image; models that take one: {IMAGE}"),
        ({"model": REFERENCE, "image_urls": [PHOTO]}, "input_reference", "invalid", "give this or image_urls"),
        ({"model": 7}, "model", "invalid", "must be a string"),
        ({"promt": "x"}, "promt", "invalid", "unknown field"),
        ({"metadata": {"a": 1}}, "metadata.a", "invalid", "must be a string"),
        ({"webhook_url": "ftp://x"}, "webhook_url", "invalid", "must be an absolute http or https URL"),
        ({"model": OLD, "input_reference": ..., "size": "1280x720"}, "size", "invalid", "send resolution instead"),
    ],
)
async def test_create_with_wrong_field_names_it(
    api: httpx.AsyncClient, given: Any, param: str, code: str, text: str
) -> None:
    answer = await create(api, **given)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"], error["code"]) == (
        400,
        "invalid_request_error",
        param,
        code,
    )
    assert text in error["message"]
    assert await ids_of(api) == []


@pytest.mark.parametrize(
    ("content", "media", "status", "code"),
    [
        (b"{", "application/json", 400, "malformed"),
        (b"[]", "application/json", 400, "invalid"),
        (b'"x"', "application/json", 400, "invalid"),
        (b"a=1", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b"x", "multipart/form-data", 400, "malformed"),
        (b"x", "multipart/form-data; boundary=b", 400, "malformed"),
        (b'{"prompt":"' + b"x" * 300_001 + b'"}', "application/json", 413, "too_large"),
    ],
)
async def test_create_with_wrong_body_is_refused(
    api: httpx.AsyncClient, content: bytes, media: str, status: int, code: str
) -> None:
    answer = await api.post(VIDEOS, content=content, headers={"content-type": media})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_create_of_unknown_or_forbidden_model_names_usable_ones(app: FastAPI, connect: Connect) -> None:
    client = await connect(await app.state.runtime.tenants.service.create("acme", Limits(models=(IMAGE,))))

    unknown, forbidden = await create(client, model="sora-2"), await create(client, model=TEXT, input_reference=...)

    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")
    assert f"you may use: {IMAGE}." in unknown.json()["error"]["message"]
    assert (forbidden.status_code, forbidden.json()["error"]["code"]) == (403, "model_forbidden")
    assert [answer.json()["error"]["param"] for answer in (unknown, forbidden)] == ["model"] * 2


@pytest.mark.parametrize(
    ("limits", "given", "status", "kind", "code"),
    [
        ({"monthly_budget": 1}, {}, 402, "insufficient_quota", "budget_exceeded"),
        ({}, {"max_cost_usd": "0.01"}, 402, "insufficient_quota", "max_cost_exceeded"),
        ({"queued_generations": 0}, {}, 429, "rate_limit_error", "queue_full"),
        ({"resolutions": ("480p",)}, {"size": "1280x720"}, 400, "invalid_request_error", "invalid"),
        ({"durations": ("4",)}, {"seconds": "5"}, 400, "invalid_request_error", "invalid"),
    ],
)
async def test_create_beyond_limit_is_refused_with_its_code(
    app: FastAPI, connect: Connect, limits: Any, given: Any, status: int, kind: str, code: str
) -> None:
    client = await connect(await app.state.runtime.tenants.service.create("acme", Limits(**limits)))
    answer = await create(client, **given)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["code"]) == (status, kind, code), answer.text
    assert error["param"] == next(iter(given), None)


# --- forms ------------------------------------------------------------------------------------------------------------


async def test_form_with_file_uploads_it(api: httpx.AsyncClient) -> None:
    photo = pictures.encoded("jpeg", exif=pictures.exif())
    data = {"prompt": PROMPT, "seconds": "4", "generate_audio": "false", "seed": "7", "metadata[order]": "1"}

    answer = await api.post(VIDEOS, data=data, files={"input_reference": ("cat.jpg", photo, "image/jpeg")})

    g = (await api.get(f"/v1/generations/{answer.json()['id']}")).json()
    assert (g["input"]["duration"], g["input"]["generate_audio"], g["input"]["seed"]) == ("4", False, 7)
    assert g["metadata"] == {"order": "1"}
    async with httpx.AsyncClient(trust_env=False) as client:
        stored = (await client.get(g["input"]["image_url"])).content
    assert pictures.opened(stored).size == (60, 40)
    assert pictures.SECRET.encode() not in stored


@pytest.mark.parametrize(
    ("data", "param"),
    [
        ({"seed": "x"}, "seed"),
        ({"seed": "-1"}, "seed"),
        ({"generate_audio": "maybe"}, "generate_audio"),
        ({"promt": "x"}, "promt"),
        ({"metadata": "x"}, "metadata"),
        ({"metadata[a][b]": "x"}, "metadata[a][b]"),
        ({"input_reference[image_url]": PHOTO, "input_reference[file_id]": "x"}, "input_reference.file_id"),
        ({"prompt[]": "x"}, "prompt"),
    ],
)
async def test_form_with_wrong_field_names_it(api: httpx.AsyncClient, data: Any, param: str) -> None:
    form = {"prompt": PROMPT, "input_reference[image_url]": PHOTO, **data}
    answer = await api.post(VIDEOS, files={name: (None, value) for name, value in form.items()})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param), answer.text


async def test_form_means_the_same_as_json(api: httpx.AsyncClient) -> None:
    form = {
        "prompt": PROMPT,
        "input_reference[image_url]": PHOTO,
        "metadata": '{"a": "b"}',
        "priority": "3",
        "expires_in": "600",
    }
    key = {"idempotency-key": "once"}

    first = await api.post(VIDEOS, files={name: (None, value) for name, value in form.items()}, headers=key)
    again = await create(api, key, metadata={"a": "b"}, priority=3, expires_in=600)

    assert (again.json()["id"], again.headers["idempotency-replayed"]) == (first.json()["id"], "true")


async def test_form_with_lists_and_reference_file(api: httpx.AsyncClient) -> None:
    lists = [("image_urls[]", (None, PHOTO)), ("image_urls[]", (None, f"{PHOTO}?2"))]
    several = await api.post(VIDEOS, data={"prompt": PROMPT, "model": REFERENCE}, files=lists)
    file = {"input_reference": ("cat.png", pictures.encoded("png"))}
    single = await api.post(VIDEOS, data={"prompt": PROMPT, "model": REFERENCE}, files=file)

    views = [(await api.get(f"/v1/generations/{a.json()['id']}")).json()["input"] for a in (several, single)]
    assert views[0]["image_urls"] == [PHOTO, f"{PHOTO}?2"]
    assert [url.partition(":")[0] for url in views[1]["image_urls"]] == ["http"]


async def test_form_with_file_that_is_no_image_names_the_field(api: httpx.AsyncClient) -> None:
    answer = await api.post(VIDEOS, data={"prompt": PROMPT}, files={"input_reference": ("a.gif", b"GIF89a" + bytes(9))})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, "input_reference", "image_format")


async def test_form_with_large_file_names_uploads(api: httpx.AsyncClient) -> None:
    answer = await api.post(VIDEOS, data={"prompt": PROMPT}, files={"input_reference": ("a.png", bytes(300_001))})
    assert answer.status_code == 413
    assert "POST /v1/uploads" in answer.json()["error"]["message"]


# --- repeats ----------------------------------------------------------------------------------------------------------


async def test_repeat_marked_by_sdk_creates_nothing(api: httpx.AsyncClient, clock: Clock) -> None:
    """The response was sent as far as the gateway knows: a proxy may have lost it."""
    first = await created(api, FIRST)
    clock.advance(timedelta(seconds=30))

    again = await create(api, REPEAT)
    other = await created(api, {"x-stainless-retry-count": "2"}, prompt="another")

    assert (again.json()["id"], again.headers["idempotency-replayed"]) == (first, "true")
    assert sorted(await ids_of(api)) == sorted([first, other])


async def test_repeat_of_form_with_file_creates_nothing(api: httpx.AsyncClient) -> None:
    """Each form has another boundary, and each upload another URL."""
    photo = pictures.encoded("png")

    async def send(headers: Any) -> str:
        files = {"input_reference": ("cat.png", photo)}
        answer = await api.post(VIDEOS, data={"prompt": PROMPT}, files=files, headers=headers)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    assert await send(FIRST) == await send(REPEAT)


async def test_first_calls_of_sdk_stay_separate(api: httpx.AsyncClient, clock: Clock) -> None:
    made = []
    for _ in range(3):
        made.append(await created(api, FIRST))
        clock.advance(timedelta(milliseconds=1))
    assert len(set(made)) == 3
    assert await created(api, REPEAT) == made[-1], "the last one is the likeliest"


async def test_repeat_of_refused_call_creates(app: FastAPI, connect: Connect) -> None:
    client = await connect(await app.state.runtime.tenants.service.create("acme", Limits(queued_generations=1)))
    blocking = await created(client, prompt="another")
    assert (await create(client, FIRST)).status_code == 429

    await client.delete(f"{VIDEOS}/{blocking}")

    assert await created(client, REPEAT) != blocking


async def test_repeat_of_other_key_or_tenant_creates(
    api: httpx.AsyncClient, connect: Connect, tenant: Tenant, other_api: httpx.AsyncClient
) -> None:
    first = await created(api, FIRST)
    others = {await created(client, REPEAT) for client in (await connect(tenant), other_api)}
    assert len(others | {first}) == 3


async def test_unmarked_calls_stay_separate(api: httpx.AsyncClient) -> None:
    assert await created(api) != await created(api)


# --- read, list, content, delete --------------------------------------------------------------------------------------


async def test_read_of_other_tenants_video_is_unknown(api: httpx.AsyncClient, other_api: httpx.AsyncClient) -> None:
    name = await created(api)
    answers = [
        await other_api.get(f"{VIDEOS}/{name}"),
        await api.get(f"{VIDEOS}/{UNKNOWN}"),
        await api.get(f"{VIDEOS}/x"),
    ]
    assert {(a.status_code, a.json()["error"]["code"], a.json()["error"]["type"]) for a in answers} == {
        (404, "not_found", "invalid_request_error")
    }


async def test_list_pages_in_both_orders(api: httpx.AsyncClient, clock: Clock) -> None:
    made = []
    for _ in range(5):
        made.append(await created(api))
        clock.advance(timedelta(seconds=1))

    async def pages(order: str) -> list[list[str]]:
        found: list[list[str]] = []
        after: dict[str, str] = {}
        while True:
            answer = (await api.get(VIDEOS, params={"limit": 2, "order": order, **after})).json()
            names = [video["id"] for video in answer["data"]]
            assert (answer["object"], answer["first_id"], answer["last_id"]) == ("list", names[0], names[-1])
            found.append(names)
            if not answer["has_more"]:
                return found
            after = {"after": answer["last_id"]}

    assert await pages("asc") == [made[:2], made[2:4], made[4:]]
    assert await pages("desc") == [made[:2:-1], made[2:0:-1], made[:1]]


async def test_list_has_generations_of_v1(api: httpx.AsyncClient) -> None:
    name = (await api.post("/v1/generations", json=create_body())).json()["id"]
    assert [video["id"] for video in (await api.get(VIDEOS)).json()["data"]] == [name]


async def test_list_of_nothing_has_no_ids(api: httpx.AsyncClient) -> None:
    assert (await api.get(VIDEOS)).json() == {
        "object": "list",
        "data": [],
        "has_more": False,
        "first_id": None,
        "last_id": None,
    }


@pytest.mark.parametrize(
    ("query", "param"),
    [("limit=0", "limit"), ("limit=x", "limit"), ("order=up", "order"), ("after=x", "after"), ("page=2", "page")],
)
async def test_list_with_wrong_query_names_it(api: httpx.AsyncClient, query: str, param: str) -> None:
    answer = await api.get(f"{VIDEOS}?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("variant", ["thumbnail", "spritesheet", "gif"])
async def test_content_of_other_variant_is_refused(api: httpx.AsyncClient, variant: str) -> None:
    answer = await api.get(f"{VIDEOS}/{await created(api)}/content?variant={variant}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "variant")


async def test_content_before_the_end_is_conflict(api: httpx.AsyncClient) -> None:
    answer = await api.get(f"{VIDEOS}/{await created(api)}/content")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "video_not_ready")
    assert answer.headers["retry-after"].isdecimal()


async def test_delete_cancels_and_frees_the_hold(api: httpx.AsyncClient) -> None:
    name = await created(api)

    deleted = await api.delete(f"{VIDEOS}/{name}")

    assert deleted.json() == {"id": name, "object": "video.deleted", "deleted": True}
    assert (await api.get(f"/v1/generations/{name}")).json()["status"] == "canceled"
    read = await api.get(f"{VIDEOS}/{name}")
    assert (read.json()["status"], read.json()["error"]["code"]) == ("failed", "canceled")
    assert read.json()["cost"]["actual"] == "0.000000"
    assert "openai-poll-after-ms" not in read.headers
    again = await api.delete(f"{VIDEOS}/{name}")
    assert (again.status_code, again.json()["deleted"]) == (200, False)
    assert (await api.get(f"{VIDEOS}/{name}/content")).status_code == 404


async def test_delete_of_unknown_video_is_not_found(api: httpx.AsyncClient) -> None:
    assert (await api.delete(f"{VIDEOS}/{UNKNOWN}")).status_code == 404


async def test_key_without_scope_is_refused(connect: Connect, tenant: Tenant) -> None:
    reader, writer = await connect(tenant, scopes=(Scope.READ,)), await connect(tenant, scopes=(Scope.GENERATE,))
    answers = [await create(reader), await reader.delete(f"{VIDEOS}/x"), await writer.get(VIDEOS)]
    assert {(a.status_code, a.json()["error"]["type"]) for a in answers} == {(403, "permission_error")}


async def test_unknown_path_and_method_have_openais_form(api: httpx.AsyncClient, anonymous: httpx.AsyncClient) -> None:
    answers = [await api.get("/openai/v1/models/x"), await api.put(VIDEOS), await anonymous.get(VIDEOS)]
    assert [a.status_code for a in answers] == [404, 405, 401]
    assert [a.json()["error"]["type"] for a in answers] == [
        "invalid_request_error",
        "invalid_request_error",
        "authentication_error",
    ]
    assert all(a.json()["error"].keys() == {"message", "type", "param", "code"} for a in answers)
