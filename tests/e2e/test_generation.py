"""A generation through real processes: the responses to the tenant, the requests to fal, the webhooks."""

import time
from pathlib import Path

import av
import httpx

from tests.e2e.conftest import TenantClient
from tests.support.receiver import Receiver


def test_generation_of_photo_succeeds(tenant: TenantClient, receiver: Receiver, tmp_path: Path) -> None:
    prompt = "the rocket lifts off"
    created = tenant.create(
        prompt,
        image_url=tenant.upload("rocket.jpg"),
        end_image_url=tenant.upload("cat.png"),
        aspect_ratio="16:9",
        end_user_id="customer-7",
        webhook_url=receiver.url,
        metadata={"order": "7"},
    )
    assert created["status"] == "queued"
    g = tenant.ended(created["id"])
    assert (g["status"], g["error"]) == ("succeeded", None)
    assert 0 < float(g["cost"]["actual"]) <= float(g["cost"]["estimated"])

    (event,) = receiver.wait_for(lambda came: len(came) == 1)
    received = event.verified(tenant.stack.webhook_secret)
    assert (received["type"], received["data"]) == ("generation.succeeded", g)

    file = tmp_path / "video.mp4"
    file.write_bytes(httpx.get(g["output"]["video"]["url"]).raise_for_status().content)
    with av.open(file) as video:
        picture, sound = video.streams.video[0], video.streams.audio[0]
        assert (picture.codec_context.name, picture.width, picture.height) == ("h264", 864, 496)
        assert sound.codec_context.name == "aac"
        assert sum(1 for _ in video.decode(picture)) == 4 * 24

    (submit,) = tenant.submits(prompt)
    assert submit["end_user_id"].startswith("eu_")
    assert "customer-7" not in str(submit)


def test_generation_of_refused_image_costs_nothing(tenant: TenantClient, receiver: Receiver) -> None:
    g = tenant.ended(tenant.create("sandbox:policy sandbox:seconds=0.1", webhook_url=receiver.url)["id"])
    assert (g["status"], g["error"]["code"], g["error"]["retryable"]) == ("failed", "content_policy", False)
    assert g["cost"]["actual"] == "0.000000"
    (event,) = receiver.wait_for(lambda came: len(came) == 1)
    assert event.verified(tenant.stack.webhook_secret)["type"] == "generation.failed"


def test_cancel_of_running_job_follows_fal(tenant: TenantClient) -> None:
    g = tenant.create("sandbox:hang cancel me")
    tenant.wait_for(g["id"], lambda now: now["status"] == "in_progress")
    answer = tenant.http.post(f"/v1/generations/{g['id']}/cancel")
    assert answer.status_code == 202
    assert answer.json()["cancel_requested_at"] is not None
    assert tenant.ended(g["id"])["status"] == "canceled"
    assert tenant.http.post(f"/v1/generations/{g['id']}/cancel").status_code == 409


def test_submit_with_lost_response_is_not_repeated(tenant: TenantClient) -> None:
    prompt = "sandbox:lost-answer sandbox:lost-webhook sandbox:no-video paid once"
    g = tenant.create(prompt)
    tenant.wait_for(g["id"], lambda now: now["status"] == "unconfirmed")
    time.sleep(2.5)  # two rounds of beat: a process that would repeat the submit has had the time
    assert tenant.read(g["id"])["status"] == "unconfirmed"
    assert len(tenant.submits(prompt)) == 1


def test_submit_with_lost_response_resolved_by_callback(tenant: TenantClient, receiver: Receiver) -> None:
    prompt = "sandbox:lost-answer sandbox:queue-seconds=0 sandbox:seconds=2 healed"
    g = tenant.create(prompt, webhook_url=receiver.url)
    tenant.wait_for(g["id"], lambda now: now["status"] == "unconfirmed")
    ended = tenant.ended(g["id"])
    assert (ended["status"], ended["error"]) == ("succeeded", None)
    (submit,) = tenant.submits(prompt)
    assert submit["request_id"] == ended["fal_request_id"]
    video = httpx.get(ended["output"]["video"]["url"]).raise_for_status().content
    assert video[4:8] == b"ftyp"
    (event,) = receiver.wait_for(lambda came: len(came) == 1)
    assert event.verified(tenant.stack.webhook_secret)["data"] == ended


def test_callback_repeated_ends_generation_once(tenant: TenantClient, receiver: Receiver) -> None:
    prompt = "sandbox:double-webhook sandbox:no-video sandbox:queue-seconds=0 sandbox:seconds=0.3 told twice"
    g = tenant.ended(tenant.create(prompt, webhook_url=receiver.url)["id"])
    after = tenant.ended(tenant.create(f"{prompt} and another", webhook_url=receiver.url)["id"])
    receiver.wait_for(lambda came: len(came) >= 2)
    received = [event.verified(tenant.stack.webhook_secret)["data"]["id"] for event in receiver.received]
    assert sorted(received) == sorted([g["id"], after["id"]])


def test_callback_token_is_in_no_log(tenant: TenantClient) -> None:
    prompt = "sandbox:no-video sandbox:queue-seconds=0 sandbox:seconds=0.1 no token in logs"
    tenant.ended(tenant.create(prompt)["id"])
    (submit,) = tenant.submits(prompt)
    token = submit["webhook_url"].rpartition("/")[2]
    assert len(token) == 32
    written = {name: (tenant.stack.folder / f"{name}.log").read_text() for name in ("gateway", "worker", "beat")}
    assert "/callbacks/fal/{generation_id}/{token}" in written["gateway"]
    assert [name for name, text in written.items() if token in text] == []


def test_submit_to_busy_fal_is_retried(tenant: TenantClient) -> None:
    prompt = "sandbox:429=1 sandbox:no-video sandbox:seconds=0.1 busy"
    g = tenant.ended(tenant.create(prompt)["id"])
    assert g["status"] == "succeeded"
    assert len(tenant.submits(prompt)) == 1


def test_failing_receiver_gets_same_event_again(tenant: TenantClient, receiver: Receiver) -> None:
    receiver.answers[:] = [500, 302]
    tenant.create("sandbox:no-video sandbox:seconds=0.1", webhook_url=receiver.url)
    came = receiver.wait_for(lambda now: len(now) == 3)
    assert len({attempt.headers["webhook-id"] for attempt in came}) == 1
    assert len({attempt.body for attempt in came}) == 1
    for attempt in came:
        attempt.verified(tenant.stack.webhook_secret)


def test_idempotency_repeated_create_is_one_generation(tenant: TenantClient) -> None:
    prompt = "sandbox:no-video sandbox:seconds=0.1 only once"
    headers = {"idempotency-key": "order-7"}
    body = {"prompt": prompt, "image_url": "https://v3b.fal.media/a.jpg"}
    first = tenant.http.post("/v1/generations", json=body, headers=headers)
    again = tenant.http.post("/v1/generations", json=body, headers={**headers, "prefer": "wait=30"})
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json()["status"] == "succeeded"
    assert len(tenant.submits(prompt)) == 1
