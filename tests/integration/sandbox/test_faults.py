"""One row per fault word in the prompt, with its expected effect."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from itertools import groupby

import httpx
import pytest

from sandbox import faults
from tests.integration.sandbox.driver import APP, Fal
from tests.integration.sandbox.receiver import Receiver
from tests.integration.sandbox.signatures import Verifier
from tests.support.waiting import until

Row = Callable[[Fal, Receiver], Awaitable[None]]
ROWS: dict[str, Row] = {}


def row(token: str) -> Callable[[Row], Row]:
    def add(function: Row) -> Row:
        ROWS[token] = function
        return function

    return add


@pytest.mark.parametrize("token", faults.TOKENS)
async def test_fault(token: str, fal: Fal, receiver: Receiver) -> None:
    await ROWS[token](fal, receiver)


@pytest.mark.parametrize("token", faults.TOKENS)
def test_every_fault_word_is_documented(token: str) -> None:
    assert f"sandbox:{token}" in (faults.__doc__ or "")


async def test_unknown_fault_word_is_refused(fal: Fal) -> None:
    answer = await fal.post("sandbox:polcy")
    assert answer.status_code == 400
    assert "'polcy'" in answer.json()["detail"]


async def test_fault_words_combine(fal: Fal) -> None:
    began = time.monotonic()
    result = await fal.outcome("a rocket, sandbox:policy and (sandbox:seconds=0.3).")
    assert result.status_code == 422
    assert time.monotonic() - began >= 0.3


@row("429")
async def refuses_twice_then_accepts(fal: Fal, receiver: Receiver) -> None:
    answers = [await fal.post("sandbox:no-video sandbox:429") for _ in range(3)]
    once = [(await fal.post("sandbox:no-video sandbox:429=1")).status_code for _ in range(2)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].json()["detail"][0]["type"] == "concurrent_requests_limit"
    assert once == [429, 200]
    assert len(await fal.records("sandbox:no-video sandbox:429")) == 1


@row("503")
async def unavailable_twice_then_accepts(fal: Fal, receiver: Receiver) -> None:
    answers = [await fal.post("sandbox:no-video sandbox:503") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].json()["error_type"] == answers[0].headers["x-fal-error-type"] == "runner_scheduling_failure"


@row("500")
async def bare_html_forever(fal: Fal, receiver: Receiver) -> None:
    answers = [await fal.post("sandbox:500") for _ in range(4)]
    assert {answer.status_code for answer in answers} == {500}
    assert answers[0].headers["content-type"].startswith("text/html")
    assert await fal.records("sandbox:500") == []


@row("400")
async def bad_request(fal: Fal, receiver: Receiver) -> None:
    answer = await fal.post("sandbox:400")
    assert (answer.status_code, answer.json()["error_type"]) == (400, "bad_request")
    assert await fal.records("sandbox:400") == []


@row("422-submit")
async def refused_at_submit(fal: Fal, receiver: Receiver) -> None:
    answer = await fal.post("sandbox:422-submit")
    assert (answer.status_code, answer.json()["detail"][0]["type"]) == (422, "value_error")


@row("lost-answer")
async def accepted_without_an_answer(fal: Fal, receiver: Receiver) -> None:
    prompt = "sandbox:lost-answer sandbox:no-video"
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        await fal.post(prompt, webhook=receiver.url)
    (delivery,) = await receiver.expect()
    (record,) = await fal.records(prompt)
    assert delivery.body["request_id"] == record["request_id"]
    assert (record["status"], record["billable_units"]) == ("COMPLETED", 108.9)


@row("slow-answer")
async def answers_late(fal: Fal, receiver: Receiver) -> None:
    began = time.monotonic()
    await fal.submit("sandbox:slow-answer=0.3 sandbox:no-video")
    assert 0.3 <= time.monotonic() - began < 5, "the default is 5"


@row("queue-seconds")
async def stays_queued_for_seconds(fal: Fal, receiver: Receiver) -> None:
    began = time.monotonic()
    request_id = await fal.submit("sandbox:queue-seconds=0.4 sandbox:no-video")
    await until(lambda: has_left_the_queue(fal, request_id))
    assert time.monotonic() - began >= 0.4
    assert (await fal.finish(request_id)).status_code == 200


async def has_left_the_queue(fal: Fal, request_id: str) -> bool:
    return await fal.state(request_id) != "IN_QUEUE"


@row("seconds")
async def stays_in_progress_for_seconds(fal: Fal, receiver: Receiver) -> None:
    began = time.monotonic()
    assert (await fal.outcome("sandbox:seconds=0.4 sandbox:no-video")).status_code == 200
    assert time.monotonic() - began >= 0.4


@row("stuck-queue")
async def never_leaves_the_queue(fal: Fal, receiver: Receiver) -> None:
    request_id = await fal.submit("sandbox:stuck-queue")
    await fal.outcome()
    assert await fal.state(request_id) == "IN_QUEUE"
    await fal.cancel(request_id)


@row("hang")
async def never_completes(fal: Fal, receiver: Receiver) -> None:
    request_id = await fal.submit("sandbox:hang")
    await fal.reach(request_id, "IN_PROGRESS")
    await fal.outcome()
    assert await fal.state(request_id) == "IN_PROGRESS"
    await fal.cancel(request_id)
    assert (await fal.finish(request_id)).status_code == 499


@row("requeue")
async def falls_back_once(fal: Fal, receiver: Receiver) -> None:
    prompt = "sandbox:requeue sandbox:seconds=0.4 sandbox:queue-seconds=0.2 sandbox:no-video"
    request_id = await fal.submit(prompt, webhook=receiver.url)
    stream = await fal.http.get(f"{APP}/requests/{request_id}/status/stream")  # a poll could miss a status
    states = [state for state, _ in groupby(re.findall(r'"status":"(\w+)"', stream.text))]
    assert states[-4:] == ["IN_PROGRESS", "IN_QUEUE", "IN_PROGRESS", "COMPLETED"]
    assert (await fal.finish(request_id)).status_code == 200
    (delivery,) = await receiver.expect()
    assert delivery.body["request_id"] == request_id != delivery.body["gateway_request_id"]


@row("uncancellable")
async def completes_in_spite_of_a_cancel(fal: Fal, receiver: Receiver) -> None:
    request_id = await fal.submit("sandbox:uncancellable sandbox:seconds=2 sandbox:no-video")
    await fal.reach(request_id, "IN_PROGRESS")
    assert (await fal.cancel(request_id)).status_code == 202
    result = await fal.finish(request_id)
    assert (result.status_code, result.headers["x-fal-billable-units"]) == (200, "108.9")


@row("logs")
async def shows_a_moving_window_of_logs(fal: Fal, receiver: Receiver) -> None:
    request_id = await fal.submit("sandbox:logs sandbox:seconds=2 sandbox:no-video")
    seen: list[list[str]] = []
    while (answer := await fal.status(request_id, logs="1")).status_code == 202 or not seen:
        seen.append([line["message"] for line in answer.json().get("logs") or []])
        await asyncio.sleep(0.02)
    last = answer.json()["logs"]
    assert max(map(len, seen)) == 3
    assert {line for lines in seen for line in lines} - {line["message"] for line in last}
    assert last[0].keys() == {"message", "level", "source", "timestamp"}


async def ends(fal: Fal, token: str, code: int) -> httpx.Response:
    request_id = await fal.submit(f"sandbox:{token}")
    result = await fal.finish(request_id)
    status = await fal.status(request_id)
    assert (result.status_code, status.status_code, status.json()["status"]) == (code, 200, "COMPLETED")
    assert result.headers["x-fal-billable-units"] == "0"
    assert ("error" in status.json()) == ("error_type" in result.json())
    return result


@row("policy")
async def refused_for_its_image(fal: Fal, receiver: Receiver) -> None:
    (detail,) = (await ends(fal, "policy", 422)).json()["detail"]
    assert detail == {
        "loc": ["body", "image_url"],
        "msg": "The images or videos provided may contain likenesses of real people",
        "type": "content_policy_violation",
        "url": "https://docs.fal.ai/errors#content_policy_violation",
        "ctx": {"extra_info": {"reason": "partner_validation_failed"}},
    }


@row("policy-output")
async def refused_for_its_output(fal: Fal, receiver: Receiver) -> None:
    (detail,) = (await ends(fal, "policy-output", 422)).json()["detail"]
    assert (detail["loc"], detail["type"]) == (["body", "generated_video"], "content_policy_violation")
    assert detail["ctx"]["extra_info"]["cause"] == "copyright"


@row("invalid-request")
async def refused_by_the_partner(fal: Fal, receiver: Receiver) -> None:
    (detail,) = (await ends(fal, "invalid-request", 422)).json()["detail"]
    assert (detail["loc"], detail["type"]) == (["body"], "invalid_request")


@row("bad-image")
async def cannot_load_the_image(fal: Fal, receiver: Receiver) -> None:
    (detail,) = (await ends(fal, "bad-image", 422)).json()["detail"]
    assert (detail["loc"], detail["type"]) == (["body", "image_url"], "image_load_error")


@row("error-500")
async def model_breaks(fal: Fal, receiver: Receiver) -> None:
    assert (await ends(fal, "error-500", 500)).json()["detail"][0]["type"] == "internal_server_error"


@row("timeout")
async def platform_times_out(fal: Fal, receiver: Receiver) -> None:
    result = await ends(fal, "timeout", 504)
    assert result.json()["error_type"] == result.headers["x-fal-error-type"] == "request_timeout"
    assert "x-fal-request-timeout-type" not in result.headers


@row("runner-503")
async def runner_is_lost(fal: Fal, receiver: Receiver) -> None:
    assert (await ends(fal, "runner-503", 503)).json()["error_type"] == "runner_connection_error"


@row("expired-result")
async def result_is_gone(fal: Fal, receiver: Receiver) -> None:
    request_id = await fal.submit("sandbox:expired-result sandbox:no-video")
    assert (await fal.finish(request_id)).status_code == 404
    assert (await fal.record(request_id))["billable_units"] == 108.9


@row("no-video")
async def answers_with_a_ready_file(fal: Fal, receiver: Receiver) -> None:
    videos = [(await fal.outcome("sandbox:no-video")).json()["video"] for _ in range(2)]
    file = await fal.http.get(videos[0]["url"])
    assert videos[0]["url"] != videos[1]["url"]
    assert len(file.content) == videos[0]["file_size"] < 20_000
    assert file.content[4:8] == b"ftyp"


@row("lost-webhook")
async def webhook_is_never_sent(fal: Fal, receiver: Receiver) -> None:
    await fal.outcome("sandbox:lost-webhook sandbox:no-video", webhook=receiver.url)
    await asyncio.sleep(0.2)
    assert receiver.deliveries == []


@row("double-webhook")
async def webhook_is_sent_twice(fal: Fal, receiver: Receiver) -> None:
    await fal.submit("sandbox:double-webhook sandbox:no-video", webhook=receiver.url)
    first, second = await receiver.expect(2)
    assert first.raw == second.raw


@row("late-webhook")
async def webhook_is_late(fal: Fal, receiver: Receiver) -> None:
    began = time.monotonic()
    await fal.outcome("sandbox:late-webhook=0.4 sandbox:no-video", webhook=receiver.url)
    await receiver.expect()
    assert time.monotonic() - began >= 0.4


@row("null-payload")
async def webhook_has_no_payload(fal: Fal, receiver: Receiver) -> None:
    request_id = await fal.submit("sandbox:null-payload sandbox:no-video", webhook=receiver.url)
    (delivery,) = await receiver.expect()
    assert (delivery.body["status"], delivery.body["payload"]) == ("OK", None)
    assert delivery.body["payload_error"]
    assert (await fal.result(request_id)).json()["video"]


@row("forged-webhook")
async def webhook_has_a_wrong_signature(fal: Fal, receiver: Receiver) -> None:
    await fal.submit("sandbox:forged-webhook sandbox:no-video", webhook=receiver.url)
    (delivery,) = await receiver.expect()
    assert not (await Verifier.published(fal.http)).accepts(delivery)
