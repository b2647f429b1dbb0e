"""The routes and statuses of the queue, as the contract defines them."""

import asyncio
import json
from collections.abc import Callable

import httpx
import pytest

from tests.integration.sandbox.driver import APP, ENDPOINT, QUICK, Fal
from tests.integration.sandbox.receiver import Receiver
from tests.integration.sandbox.server import Server
from tests.support.waiting import until

UNKNOWN = "019e161b-386c-7d33-8106-f2de1a3ff595"


async def test_submit_returns_absolute_urls_without_sub_path(fal: Fal, server: Server) -> None:
    answer = await fal.post()
    body = answer.json()
    url = f"{server.url}{APP}/requests/{body['request_id']}"
    assert answer.status_code == 200
    assert answer.headers["x-fal-request-id"] == body["request_id"]
    assert body == {
        "status": "IN_QUEUE",
        "request_id": body["request_id"],
        "response_url": url,
        "status_url": f"{url}/status",
        "cancel_url": f"{url}/cancel",
        "logs": None,
        "metrics": {},
        "queue_position": 0,
    }


async def test_status_is_202_until_completed_then_200(fal: Fal) -> None:
    waiting, lasting = await fal.submit("sandbox:stuck-queue"), await fal.submit("sandbox:hang")
    request_id = await fal.submit("sandbox:no-video sandbox:queue-seconds=0.1 sandbox:seconds=0.2")
    queued = await fal.status(waiting)
    await fal.reach(lasting, "IN_PROGRESS")
    running = await fal.status(lasting)
    early = await fal.result(lasting)
    await fal.reach(request_id, "COMPLETED")
    done = await fal.status(request_id)
    for job in (waiting, lasting):
        await fal.cancel(job)
    assert (queued.status_code, running.status_code, done.status_code) == (202, 202, 200)
    assert queued.json()["queue_position"] == 0
    assert running.json()["logs"] is None
    assert done.json()["metrics"]["inference_time"] == pytest.approx(0.2, abs=0.15)
    assert "error" not in done.json()
    assert (early.status_code, early.json()) == (400, {"detail": "Request is still in progress"})


@pytest.mark.parametrize("form", ["", "/", "/response"])
async def test_result_is_raw_output_at_three_urls(fal: Fal, form: str) -> None:
    request_id = await fal.submit(seed=7)
    await fal.finish(request_id)
    answer = await fal.http.get(f"{APP}/requests/{request_id}{form}")
    assert answer.status_code == 200
    assert answer.headers["x-fal-billable-units"] == "108.9"
    assert answer.headers["x-fal-request-id"] == request_id
    assert answer.json()["seed"] == 7
    assert answer.json()["video"].keys() == {"url", "content_type", "file_name", "file_size"}


@pytest.mark.parametrize("form", ["/status", "/status/"])
@pytest.mark.parametrize(("logs", "shown"), [("1", []), ("true", []), ("0", None), ("false", None)])
async def test_status_has_logs_only_on_request(fal: Fal, form: str, logs: str, shown: list[str] | None) -> None:
    request_id = await fal.submit()
    await fal.finish(request_id)
    answer = await fal.http.get(f"{APP}/requests/{request_id}{form}", params={"logs": logs})
    assert answer.json()["logs"] == shown


@pytest.mark.parametrize(("method", "action"), [("GET", "/status"), ("GET", ""), ("PUT", "/cancel")])
async def test_status_long_form_is_405(fal: Fal, method: str, action: str) -> None:
    request_id = await fal.submit()
    answer = await fal.http.request(method, f"{ENDPOINT}/requests/{request_id}{action}")
    assert answer.status_code == 405


@pytest.mark.parametrize(("method", "action"), [("GET", "/status"), ("GET", ""), ("PUT", "/cancel")])
async def test_unknown_id_is_404(fal: Fal, method: str, action: str) -> None:
    answer = await fal.http.request(method, f"{APP}/requests/{UNKNOWN}{action}")
    assert (answer.status_code, answer.json()) == (404, {"status": "NOT_FOUND"})


async def test_id_under_other_app_is_404(fal: Fal) -> None:
    request_id = await fal.submit()
    assert (await fal.http.get(f"/queue/bytedance/other/requests/{request_id}/status")).status_code == 404


async def test_submit_is_not_deduplicated(fal: Fal) -> None:
    prompt = "sandbox:no-video twice the same"
    assert await fal.submit(prompt) != await fal.submit(prompt)
    assert len(await fal.records(prompt)) == 2


async def test_wrong_path_is_accepted_and_result_is_404(fal: Fal) -> None:
    accepted = await fal.http.post(f"{APP}/xyz", json={"prompt": "sandbox:queue-seconds=60 sandbox:seconds=60"})
    result = await fal.finish(accepted.json()["request_id"])
    assert accepted.status_code == 200
    assert (result.status_code, result.json()) == (404, {"detail": "Path /xyz not found"})
    assert result.headers["x-fal-billable-units"] == "0"


async def test_empty_body_is_an_empty_object(fal: Fal) -> None:
    accepted = await fal.http.post(ENDPOINT)
    result = await fal.finish(accepted.json()["request_id"])
    assert [entry["type"] for entry in result.json()["detail"]] == ["missing", "missing"]


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b'{"prompt": '])
async def test_malformed_body_is_a_platform_error(fal: Fal, body: bytes) -> None:
    answer = await fal.http.post(ENDPOINT, content=body)
    assert answer.status_code == 400
    assert answer.json()["error_type"] == answer.headers["x-fal-error-type"] == "bad_request"


async def test_namespaced_endpoint_has_three_segments(fal: Fal, server: Server) -> None:
    answer = await fal.http.post("/queue/workflows/someone/flow", json={})
    assert answer.json()["status_url"].startswith(f"{server.url}/queue/workflows/someone/flow/requests/")


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Key"}, {"Authorization": "Basic abc"}])
@pytest.mark.parametrize("path", [ENDPOINT, "/run/bytedance/seedance-2.0/image-to-video"])
async def test_missing_key_is_refused(server: Server, headers: dict[str, str], path: str) -> None:
    async with httpx.AsyncClient(base_url=server.url, headers=headers) as other_api:
        before = (await other_api.get("/_sandbox/requests/count")).json()
        answer = await other_api.post(path, json={"prompt": QUICK})
        after = (await other_api.get("/_sandbox/requests/count")).json()
    assert (answer.status_code, answer.json()) == (401, {"detail": "invalid key credentials"})
    assert before == after


async def test_key_is_checked_if_configured(start: Callable[..., Server]) -> None:
    server = start(key="id:secret")
    probe = f"{APP}/requests/{UNKNOWN}/status"
    async with httpx.AsyncClient(base_url=server.url) as http:
        good = await http.get(probe, headers={"Authorization": "Key id:secret"})
        bad = await http.get(probe, headers={"Authorization": "Key id:other"})
        bearer = await http.get(probe, headers={"Authorization": "Bearer nonsense"})
    assert (good.status_code, bad.status_code, bearer.status_code) == (404, 401, 401)
    assert bearer.json() == {"detail": "bearer: unable to decode issuer"}


async def test_cancel_of_queued_job_prevents_start(fal: Fal, receiver: Receiver) -> None:
    request_id = await fal.submit("sandbox:stuck-queue", webhook=receiver.url)
    answer = await fal.cancel(request_id)
    result = await fal.finish(request_id)
    status = (await fal.status(request_id)).json()
    again = await fal.cancel(request_id)
    assert (answer.status_code, answer.json()) == (202, {"status": "CANCELLATION_REQUESTED"})
    assert (result.status_code, result.json()["detail"]) == (499, "Request cancelled by the client.")
    assert result.headers["x-fal-error-type"] == status["error_type"] == "client_cancelled"
    assert (again.status_code, again.json()) == (400, {"status": "ALREADY_COMPLETED"})
    assert receiver.deliveries == []


async def test_cancel_of_running_job_frees_slot_without_cost(narrow: Fal) -> None:
    first = await narrow.submit("sandbox:hang")
    await narrow.reach(first, "IN_PROGRESS")
    second = await narrow.submit()
    await narrow.cancel(first)
    assert (await narrow.finish(first)).status_code == 499
    assert (await narrow.record(first))["billable_units"] == 0
    assert (await narrow.finish(second)).status_code == 200


async def test_queue_is_ordered_by_priority_and_age(narrow: Fal) -> None:
    running = await narrow.submit("sandbox:hang")
    await narrow.reach(running, "IN_PROGRESS")
    low = await narrow.submit(headers={"X-Fal-Queue-Priority": "low"})
    waiting = [await narrow.submit() for _ in range(3)]
    blocking = await narrow.submit("sandbox:hang")
    await asyncio.sleep(0.05)
    positions = [(await narrow.status(request_id)).json()["queue_position"] for request_id in waiting]
    crowded = await narrow.post(query={"fal_max_queue_length": "4"})
    roomy = await narrow.post("sandbox:stuck-queue", query={"fal_max_queue_length": "5"})
    await narrow.cancel(running)
    await narrow.reach(blocking, "IN_PROGRESS")
    states = [await narrow.state(request_id) for request_id in (*waiting, low)]
    assert positions == [1, 2, 3]
    assert (crowded.status_code, roomy.status_code) == (429, 200)
    assert states == ["COMPLETED", "COMPLETED", "COMPLETED", "IN_QUEUE"]


async def test_position_moves_up_after_cancel_or_restart(narrow: Fal) -> None:
    await narrow.outcome("sandbox:requeue sandbox:no-video")
    await narrow.reach(await narrow.submit("sandbox:hang"), "IN_PROGRESS")
    first, second, third = [await narrow.submit() for _ in range(3)]
    before = [(await narrow.status(request_id)).json()["queue_position"] for request_id in (first, second, third)]
    await narrow.cancel(first)
    after = [(await narrow.status(request_id)).json()["queue_position"] for request_id in (second, third)]
    assert (before, after) == ([0, 1, 2], [0, 1])


async def test_start_deadline_passed_is_504_of_user(fal: Fal, receiver: Receiver) -> None:
    deadline = {"X-Fal-Request-Timeout": "0.2"}
    request_id = await fal.submit("sandbox:stuck-queue", headers=deadline, webhook=receiver.url)
    result = await fal.finish(request_id)
    (delivery,) = await receiver.expect()
    assert result.status_code == 504
    assert result.headers["x-fal-request-timeout-type"] == "user"
    assert (await fal.status(request_id)).json()["error_type"] == "request_timeout"
    assert delivery.body["status"] == "ERROR"


async def test_start_deadline_ignores_started_job(fal: Fal) -> None:
    prompt = "sandbox:no-video sandbox:seconds=0.4"
    assert (await fal.outcome(prompt, headers={"X-Fal-Request-Timeout": "0.2"})).status_code == 200


@pytest.mark.parametrize("seconds", ["soon", "0.1", "-1", "nan"])
async def test_start_deadline_malformed_is_400(fal: Fal, seconds: str) -> None:
    answer = await fal.post(headers={"X-Fal-Request-Timeout": seconds})
    assert (answer.status_code, answer.json()["error_type"]) == (400, "bad_request")


async def test_status_stream_ends_after_completed(fal: Fal) -> None:
    request_id = await fal.submit("sandbox:no-video sandbox:queue-seconds=0.3 sandbox:seconds=0.2")
    answer = await fal.http.get(f"{APP}/requests/{request_id}/status/stream")
    events = [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line]
    assert answer.headers["content-type"].startswith("text/event-stream")
    seen = [event["status"] for event in events]
    assert seen[-1] == "COMPLETED"
    assert seen == [status for status in ("IN_QUEUE", "IN_PROGRESS", "COMPLETED") if status in seen]  # in order, once


async def test_run_returns_output_and_is_billed(fal: Fal) -> None:
    body = {"prompt": QUICK, "image_url": "https://fal.media/a.png", "duration": "4"}
    answer = await fal.http.post("/run/bytedance/seedance-2.0/image-to-video", json=body)
    assert answer.json()["video"]["content_type"] == "video/mp4"
    assert answer.headers["x-fal-billable-units"] == "87.3"
    assert (await fal.record(answer.headers["x-fal-request-id"]))["status"] == "COMPLETED"


async def test_run_stream_is_one_event(fal: Fal) -> None:
    body = {"prompt": QUICK, "image_url": "https://fal.media/a.png"}
    answer = await fal.http.post("/run/bytedance/seedance-2.0/image-to-video/stream", json=body)
    (line,) = answer.text.splitlines()[:-1]
    assert json.loads(line.removeprefix("data: "))["video"]["file_name"] == "video.mp4"


async def test_run_does_not_queue(narrow: Fal) -> None:
    await narrow.reach(await narrow.submit("sandbox:hang"), "IN_PROGRESS")
    answer = await narrow.http.post("/run/bytedance/seedance-2.0/image-to-video", json={"prompt": QUICK})
    assert answer.status_code == 429
    assert answer.json()["detail"][0]["type"] == "concurrent_requests_limit"
    assert answer.headers["x-fal-needs-retry"] == "1"


async def expired(fal: Fal, request_id: str) -> bool:
    return (await fal.result(request_id)).status_code == 404


async def test_unknown_behaviour_is_configurable(
    start: Callable[..., Server], connect: Callable[[Server], httpx.AsyncClient]
) -> None:
    server = start(status_errors=1, cancel_answer="OK", response_suffix=1, bill_blocked=1, result_ttl=5000)
    async with connect(server) as http:
        fal = Fal(http)
        accepted = (await fal.post("sandbox:stuck-queue")).json()
        cancelled = await fal.cancel(accepted["request_id"])
        blocked = await fal.submit("sandbox:policy")
        billed = await fal.finish(blocked)
        status = (await fal.status(blocked)).json()
        await until(lambda: expired(fal, blocked))  # 5,000 seconds of a clock that runs 1,000 times as fast are 5
    assert accepted["response_url"].endswith("/response")
    assert cancelled.json() == {"status": "OK"}
    assert billed.headers["x-fal-billable-units"] == "108.9"
    assert (status["error"], status["error_type"]) == ("Invalid status code: 422", "content_policy_violation")
