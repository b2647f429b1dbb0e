"""Create, read, cancel: successful calls, and the properties of every response of this API."""

import asyncio
import re
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import TypeAdapter

from service.config.settings import Settings
from service.domain import ids
from service.domain.end_user import pseudonym
from service.domain.generation import Generation
from service.domain.generation_view import GenerationView
from service.domain.pricing import usd
from service.domain.status import PublicStatus
from service.domain.tenant import Tenant
from service.runtime import Runtime
from service.store import keys
from service.store.redis.client import Redis
from tests.support import factories
from tests.support.factories import Clock, create_body
from tests.support.waiting import until_subscribed, until_waiting

MODEL = "bytedance/seedance-2.0/image-to-video"
SHAPE = TypeAdapter(GenerationView)


async def create(api: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await api.post("/v1/generations", json=create_body(**changes))
    assert answer.status_code == 202, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def move(runtime: Runtime, generation_id: str, *verbs: str) -> Generation:
    """Apply transitions, as a worker in another process does."""
    now = factories.NOW
    steps: dict[str, Any] = {
        "submitting": lambda g: g.submitting(now),
        "submitted": lambda g: g.submitted("request-1"),
        "started": lambda g: g.started(now),
        "succeeded": lambda g: g.succeeded(factories.output(), 1_512_000, now),
        "failed": lambda g: g.failed(factories.failure(), 0, now),
    }
    moved = None
    for verb in verbs:
        moved = await runtime.transitions.apply(generation_id, steps[verb])
    assert moved is not None
    return moved


# --- create -----------------------------------------------------------------------------------------------------------


async def test_create_returns_202_with_location(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/generations", json=create_body())

    created = answer.json()
    assert answer.status_code == 202
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["location"] == f"/v1/generations/{created['id']}"
    assert ids.is_id(ids.GENERATION, created["id"])
    assert created["status"] == "queued"
    assert SHAPE.validate_python(created) == created


async def test_create_returns_the_request(api: httpx.AsyncClient) -> None:
    created = await create(
        api,
        duration=5,
        resolution="480p",
        aspect_ratio="9:16",
        generate_audio=False,
        seed=7,
        end_image_url="https://example.com/end.webp",
        end_user_id="customer-7",
        metadata={"b": "2", "a": "1"},
        webhook_url="http://127.0.0.1:9000/hook",
        priority=3,
    )

    expected = {
        "prompt": factories.PROMPT,
        "image_url": "https://example.com/cat.png",
        "end_image_url": "https://example.com/end.webp",
        "resolution": "480p",
        "duration": "5",
        "aspect_ratio": "9:16",
        "generate_audio": False,
        "seed": 7,
    }
    assert {name: created["input"].get(name) for name in expected} == expected
    assert "end_user_id" not in created["input"]
    assert created["end_user_id"] == "customer-7"
    assert created["metadata"] == {"a": "1", "b": "2"}
    assert created["webhook_url"] == "http://127.0.0.1:9000/hook"
    assert created["priority"] == 3
    assert created["cost"] == {"currency": "USD", "estimated": "0.708939", "actual": None}


async def test_create_stores_upstream_end_user(api: httpx.AsyncClient, tenant: Tenant, runtime: Runtime) -> None:
    named, unnamed = await create(api, end_user_id="customer-7"), await create(api)

    stored = await runtime.stores.generations.load(named["id"])
    assert stored is not None
    assert stored.end_user == pseudonym(tenant, "customer-7")
    assert (unnamed["end_user_id"], unnamed["webhook_url"]) == (None, None)


async def test_create_schedules_dispatch_and_expiry(api: httpx.AsyncClient, redis: Redis, clock: Clock) -> None:
    created = await create(api, expires_in=600)

    now = ids.milliseconds(clock.now)
    assert await redis.execute("ZRANGE", keys.TAG + "due:dispatch", 0, -1, "WITHSCORES") == [
        created["id"].encode(),
        str(now).encode(),
    ]
    assert await redis.execute("ZSCORE", keys.TAG + "due:sweep", created["id"]) == str(now + 600_000).encode()
    assert created["expires_at"] == (clock.now + timedelta(minutes=10)).isoformat(timespec="milliseconds")[:-6] + "Z"


async def test_create_estimate_above_max_cost_is_refused(api: httpx.AsyncClient, redis: Redis) -> None:
    answer = await api.post("/v1/generations", json=create_body(duration=5, max_cost_usd="1.534208"))

    problem = answer.json()
    assert answer.status_code == 402
    assert problem["code"] == "max_cost_exceeded"
    assert (problem["scope"], problem["limit"], problem["estimated"]) == ("request", "1.534208", "1.534209")
    assert await redis.execute("KEYS", "*generation*") == []


async def test_create_estimate_at_max_cost_is_accepted(api: httpx.AsyncClient) -> None:
    assert (await create(api, duration=5, max_cost_usd="1.534209"))["cost"]["estimated"] == "1.534209"


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:10.0.0.1]/",
        "http://example.com:25/hook",
        "https://2130706433/",
    ],
)
async def test_create_webhook_forbidden_address_is_refused(api: httpx.AsyncClient, url: str) -> None:
    answer = await api.post("/v1/generations", json=create_body(webhook_url=url))

    assert answer.status_code == 422
    assert [(fault["pointer"], fault["type"]) for fault in answer.json()["errors"]] == [
        ("/webhook_url", "address_refused")
    ]


# --- read -------------------------------------------------------------------------------------------------------------


async def test_read_returns_the_created_object(api: httpx.AsyncClient) -> None:
    created = await create(api)

    answer = await api.get(f"/v1/generations/{created['id']}")

    assert (answer.status_code, answer.json()) == (200, created)


async def test_read_shows_every_status(api: httpx.AsyncClient, runtime: Runtime) -> None:
    created = await create(api)
    for verb, status in (
        ("submitting", "submitting"),
        ("submitted", "submitted"),
        ("started", "in_progress"),
        ("succeeded", "succeeded"),
    ):
        moved = await move(runtime, created["id"], verb)

        shown = (await api.get(f"/v1/generations/{created['id']}")).json()

        assert SHAPE.validate_python(shown) == shown
        assert shown["status"] == status
    assert shown["fal_request_id"] == "request-1"
    assert shown["output"]["video"]["url"] == factories.output().video.url
    assert shown["cost"]["actual"] == usd(1_512_000)
    assert moved.is_terminal


# --- waiting ----------------------------------------------------------------------------------------------------------


async def when_waiting(app: FastAPI, work: Any, *, callers: int = 1) -> Any:
    """Apply transitions when the requests under test are waiting."""
    await until_waiting(app.state.runtime, callers=callers)
    await until_subscribed(app.state.runtime, processes=2)
    return await work


@pytest.fixture
def rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long poll reads again by itself after a minute: a response before that proves a notification."""
    monkeypatch.setattr("service.usecases.generations.read._REREAD_SECONDS", 60)


async def test_long_poll_returns_next_status_at_once(
    app: FastAPI, api: httpx.AsyncClient, runtime: Runtime, rarely: None
) -> None:
    created = await create(api)

    async with asyncio.timeout(20):
        answer, _ = await asyncio.gather(
            api.get(f"/v1/generations/{created['id']}", params={"wait": 60}),
            when_waiting(app, move(runtime, created["id"], "submitting")),
        )

    assert answer.json()["status"] == "submitting"


async def test_long_poll_timeout_returns_current_status(api: httpx.AsyncClient) -> None:
    created = await create(api)
    begun = asyncio.get_running_loop().time()

    answer = await api.get(f"/v1/generations/{created['id']}", params={"wait": 1})

    assert answer.json() == created
    assert 0.9 < asyncio.get_running_loop().time() - begun < 30


async def test_long_poll_of_terminal_returns_at_once(api: httpx.AsyncClient) -> None:
    created = await create(api)
    await api.post(f"/v1/generations/{created['id']}/cancel")

    async with asyncio.timeout(20):
        answer = await api.get(f"/v1/generations/{created['id']}", params={"wait": 60})

    assert answer.json()["status"] == "canceled"


async def test_long_poll_of_a_thousand_callers(
    app: FastAPI, api: httpx.AsyncClient, runtime: Runtime, rarely: None
) -> None:
    created = await create(api)

    async with asyncio.timeout(50):
        *answers, _ = await asyncio.gather(
            *(api.get(f"/v1/generations/{created['id']}", params={"wait": 60}) for _ in range(200)),
            when_waiting(app, move(runtime, created["id"], "submitting"), callers=200),
        )

    assert {answer.json()["status"] for answer in answers} == {"submitting"}


async def test_prefer_wait_create_returns_at_end(
    app: FastAPI, api: httpx.AsyncClient, runtime: Runtime, clock: Clock, rarely: None
) -> None:
    async def work() -> None:
        claimed = (await runtime.stores.queue.claim(**_a_claim(clock))).taken
        await move(runtime, claimed[0].id, "submitting", "submitted", "started", "succeeded")

    async with asyncio.timeout(50):
        answer, _ = await asyncio.gather(
            api.post("/v1/generations", json=create_body(), headers={"Prefer": "wait=500"}), when_waiting(app, work())
        )

    assert answer.status_code == 202
    assert answer.json()["status"] == "succeeded"
    assert answer.headers["preference-applied"] == "wait=60", "capped"
    assert answer.headers["location"] == f"/v1/generations/{answer.json()['id']}"


class TestWaitingCalls:
    @pytest.fixture
    def settings(self, redis_url: str) -> Settings:
        return factories.settings(redis_url, waiting_calls=1)

    async def test_long_poll_limit_per_tenant(
        self, app: FastAPI, api: httpx.AsyncClient, other_api: httpx.AsyncClient, runtime: Runtime
    ) -> None:
        taken = app.state.runtime.generations.long_polls._limiter._held
        created, others = await create(api), await create(other_api)
        path = f"/v1/generations/{created['id']}"
        async with asyncio.timeout(20):
            first = asyncio.create_task(api.get(path, params={"wait": 60}))
            while True:
                if taken:
                    break
                await asyncio.sleep(0.002)

            second = await api.get(path, params={"wait": 60})
            preferring = await api.post("/v1/generations", json=create_body(), headers={"Prefer": "wait=60"})
            key = api.headers["authorization"].replace("Bearer", "Key")
            run = await api.post(f"/fal/run/{MODEL}", json=create_body(), headers={"authorization": key})
            elsewhere = await other_api.get(f"/v1/generations/{others['id']}", params={"wait": 1})
            at_once = await api.get(path)
            await move(runtime, created["id"], "submitting")

            assert (second.status_code, second.json()["code"]) == (429, "too_many_waiting")
            assert int(second.headers["retry-after"]) > 0
            assert (preferring.status_code, "preference-applied" in preferring.headers) == (202, False), "no long poll"
            assert (run.status_code, run.json()["error_type"]) == (429, "too_many_waiting")
            assert (elsewhere.status_code, at_once.status_code) == (200, 200)
            assert (await first).json()["status"] == "submitting"
            again = await api.get(path, params={"wait": 1})
        listed = (await api.get("/v1/generations")).json()["data"]
        assert again.status_code == 200, "the slot is free again"
        assert {one["id"] for one in listed} == {created["id"], preferring.json()["id"]}, "the run created none"


async def test_prefer_wait_timeout_returns_current_status(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/generations", json=create_body(), headers={"Prefer": "respond-async, wait=1"})

    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert answer.headers["preference-applied"] == "wait=1"


@pytest.mark.parametrize("preference", ["respond-async", "wait=0", "", "return=minimal, foo"])
async def test_prefer_other_returns_at_once(api: httpx.AsyncClient, preference: str) -> None:
    async with asyncio.timeout(20):
        answer = await api.post("/v1/generations", json=create_body(), headers={"Prefer": preference})

    assert answer.status_code == 202
    assert "preference-applied" not in answer.headers


@pytest.mark.parametrize("preference", ["wait=soon", "wait=-1", "wait=1.5", "wait=", "wait", "wait=٣", "wait=0x10"])
async def test_prefer_wait_malformed_creates_nothing(api: httpx.AsyncClient, redis: Redis, preference: str) -> None:
    answer = await api.post("/v1/generations", json=create_body(), headers=[(b"Prefer", preference.encode())])

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    assert await redis.execute("KEYS", "*generation*") == []


async def test_prefer_wait_is_capped(api: httpx.AsyncClient) -> None:
    """Python refuses to read more than 4,300 digits."""
    created = await create(api)
    await api.post(f"/v1/generations/{created['id']}/cancel")

    answer = await api.post("/v1/generations", content=b"{", headers={"Prefer": "wait=" + "9" * 5000})

    assert answer.status_code < 500


@pytest.mark.parametrize("wait", ["61", "-1", "x", "1.5", ""])
async def test_long_poll_out_of_range_is_refused(api: httpx.AsyncClient, wait: str) -> None:
    created = await create(api)

    answer = await api.get(f"/v1/generations/{created['id']}", params={"wait": wait})

    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/query/wait"]


# --- cancel -----------------------------------------------------------------------------------------------------------


async def test_cancel_queued_is_immediate(api: httpx.AsyncClient, redis: Redis) -> None:
    created = await create(api)

    answer = await api.post(f"/v1/generations/{created['id']}/cancel")

    assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
    assert answer.json()["cost"]["actual"] == "0.000000"
    assert await redis.execute("ZCARD", keys.TAG + "due:dispatch") == 0


@pytest.mark.parametrize(
    "verbs", [("submitting",), ("submitting", "submitted"), ("submitting", "submitted", "started")]
)
async def test_cancel_submitted_is_sent_to_fal(
    api: httpx.AsyncClient, runtime: Runtime, verbs: tuple[str, ...]
) -> None:
    created = await create(api)
    moved = await move(runtime, created["id"], *verbs)

    answer = await api.post(f"/v1/generations/{created['id']}/cancel")

    assert answer.status_code == 202
    assert answer.json()["status"] == moved.status
    assert answer.json()["cancel_requested_at"] is not None


async def test_cancel_repeated_is_one_cancel(api: httpx.AsyncClient, runtime: Runtime, clock: Clock) -> None:
    created = await create(api)
    await move(runtime, created["id"], "submitting", "submitted")
    first = await api.post(f"/v1/generations/{created['id']}/cancel")
    clock.advance(timedelta(minutes=1))

    second = await api.post(f"/v1/generations/{created['id']}/cancel")

    assert (second.status_code, second.json()) == (202, first.json())


@pytest.mark.parametrize("verb", ["succeeded", "failed"])
async def test_cancel_of_terminal_returns_409(api: httpx.AsyncClient, runtime: Runtime, verb: str) -> None:
    created = await create(api)
    await move(runtime, created["id"], "submitting", "submitted", verb)
    before = (await api.get(f"/v1/generations/{created['id']}")).json()

    answer = await api.post(f"/v1/generations/{created['id']}/cancel")

    assert (answer.status_code, answer.json()["code"]) == (409, "not_cancellable")
    assert (await api.get(f"/v1/generations/{created['id']}")).json() == before


async def test_cancel_of_canceled_returns_409(api: httpx.AsyncClient) -> None:
    created = await create(api)

    statuses = [(await api.post(f"/v1/generations/{created['id']}/cancel")).status_code for _ in range(2)]

    assert statuses == [200, 409]


# --- idempotency ------------------------------------------------------------------------------------------------------


async def post(api: httpx.AsyncClient, key: str, **changes: Any) -> httpx.Response:
    return await api.post("/v1/generations", json=create_body(**changes), headers={"Idempotency-Key": key})


async def test_idempotency_replay_returns_first_generation(api: httpx.AsyncClient, redis: Redis) -> None:
    first, again = await post(api, "order-7", duration=5), await post(api, "order-7", duration="5")

    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert await redis.execute("ZCARD", keys.TAG + "due:dispatch") == 1


async def test_idempotency_replay_shows_current_status(api: httpx.AsyncClient) -> None:
    first = await post(api, "order-7")
    await api.post(f"/v1/generations/{first.json()['id']}/cancel")

    again = await post(api, "order-7")

    assert (again.status_code, again.json()["status"]) == (202, "canceled")


@pytest.mark.parametrize("changes", [{"prompt": "a dog"}, {"metadata": {"a": "1"}}, {"end_user_id": "x"}, {"seed": 0}])
async def test_idempotency_other_payload_returns_422(api: httpx.AsyncClient, changes: dict[str, Any]) -> None:
    first = await post(api, "order-7")

    other = await post(api, "order-7", **changes)

    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    assert first.json()["id"] not in other.text
    assert len((await api.get("/v1/generations")).json()["data"]) == 1


async def test_idempotency_key_of_refused_payload_is_unused(api: httpx.AsyncClient) -> None:
    assert (await post(api, "order-7", seed=-1)).status_code == 422
    assert (await post(api, "order-7", max_cost_usd="0.01")).status_code == 402

    assert (await post(api, "order-7")).status_code == 202


async def test_idempotency_key_is_per_tenant(api: httpx.AsyncClient, other_api: httpx.AsyncClient) -> None:
    own, other = await post(api, "order-7"), await post(other_api, "order-7", prompt="a dog")

    assert (own.status_code, other.status_code) == (202, 202)
    assert own.json()["id"] != other.json()["id"]


async def test_idempotency_other_or_no_key_is_new_generation(api: httpx.AsyncClient) -> None:
    made = {(await post(api, key)).json()["id"] for key in ("a", "b", "A", "a ".rstrip() + "1")}
    made |= {(await create(api))["id"] for _ in range(2)}

    assert len(made) == 6


@pytest.mark.parametrize("key", ["x", "k" * 255, 'order 7 / {sg} * \\ "quoted"', "a\tb"])
async def test_idempotency_key_of_up_to_255_characters(api: httpx.AsyncClient, key: str) -> None:
    first, again = await post(api, key), await post(api, key)

    assert (first.status_code, again.json()) == (202, first.json())


@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_idempotency_key_invalid_length_is_refused(api: httpx.AsyncClient, key: str) -> None:
    answer = await post(api, key)

    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/header/Idempotency-Key"]


async def test_idempotency_concurrent_creates_make_one(api: httpx.AsyncClient, redis: Redis) -> None:
    answers = await asyncio.gather(*(post(api, "order-7") for _ in range(20)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert await redis.execute("ZCARD", keys.TAG + "due:dispatch") == 1


async def test_idempotency_key_is_purged_with_generation(
    api: httpx.AsyncClient, runtime: Runtime, clock: Clock
) -> None:
    first = await post(api, "order-7")
    await api.post(f"/v1/generations/{first.json()['id']}/cancel")
    ended = await runtime.stores.generations.load(first.json()["id"])
    assert ended is not None
    await runtime.stores.generations.purge(ended)

    again = await post(api, "order-7", prompt="a dog")

    assert again.status_code == 202
    assert again.json()["id"] != first.json()["id"]


# --- every answer -----------------------------------------------------------------------------------------------------

PATHS = ["/v1/generations", "/v1/generations/nothing", "/nowhere", "/healthz", "/admin/v1/tenants"]


@pytest.mark.parametrize("path", PATHS)
async def test_response_has_request_id_and_timing(api: httpx.AsyncClient, path: str) -> None:
    one, other = await api.get(path), await api.get(path)

    assert re.fullmatch("[0-9a-f]{32}", one.headers["x-request-id"])
    assert one.headers["x-request-id"] != other.headers["x-request-id"]
    assert re.fullmatch(r"gw;dur=\d+\.\d\d", one.headers["server-timing"])


@pytest.mark.parametrize("given_id", ["abc", "A-1_b.c:d", "x" * 128])
async def test_request_id_valid_is_returned(api: httpx.AsyncClient, given_id: str) -> None:
    answer = await api.get("/v1/generations/nothing", headers={"X-Request-Id": given_id})

    assert answer.headers["x-request-id"] == given_id
    assert answer.json()["request_id"] == given_id


@pytest.mark.parametrize("given_id", ["", "x" * 129, "a b", "a\tb", "<script>", "a;b", "é", "{}"])
async def test_request_id_invalid_is_replaced(api: httpx.AsyncClient, given_id: str) -> None:
    answer = await api.get("/healthz", headers=[(b"X-Request-Id", given_id.encode())])

    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


def test_statuses_are_the_documented_ones() -> None:
    assert [status.value for status in PublicStatus] == [
        "queued",
        "submitting",
        "unconfirmed",
        "submitted",
        "in_progress",
        "succeeded",
        "failed",
        "canceled",
    ]


def _a_claim(clock: Clock) -> dict[str, Any]:
    return {"now": clock(), "most": 1, "lease": timedelta(minutes=1), "slots": 5}
