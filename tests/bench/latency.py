"""Latencies of an idle stack: POST answered -> fal called; result polled, or reported by fal's callback -> webhook
received.
"""

import http.client
import json
import random
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import httpx

from sandbox.signing import Signer
from service.cli.dev.stack import Stack
from tests.bench import receiver as receivers
from tests.bench import stack as stacks
from tests.bench.figures import Figure, latency
from tests.bench.receiver import Receiver
from tests.bench.scale import Scale

#: The shortest job at fal: the next poll, a second later, finds its end.
_TEXT: Final = "sandbox:no-video sandbox:queue-seconds=0 sandbox:seconds=0.2 sample {number} "
#: The next POST comes at a random time up to this after a webhook, so that samples are not in phase with beat.
_PAUSE: Final = 0.3
_WARM_UP: Final = 2
#: Ended at fal almost at once, without a callback; and no poll comes before the callback that the benchmark sends.
_SILENT: Final = "sandbox:no-video sandbox:queue-seconds=0 sandbox:seconds=0 sandbox:lost-webhook callback {number} "
_NO_POLL: Final = timedelta(minutes=1)
_FAL_PATIENCE: Final = 30.0  # seconds


@dataclass(frozen=True)
class Sample:
    prompt: str
    answered_at: float
    finished_at: float
    received_at: float


def measure(scale: Scale) -> Iterator[Figure]:
    with stacks.opened(worker=True) as stack, receivers.opened() as receiver:
        samples = [_sample(stack, receiver, number) for number in range(scale.samples + _WARM_UP)][_WARM_UP:]
        submitted_at = _submits(stack)
    dispatch = [submitted_at[sample.prompt] - sample.answered_at for sample in samples]
    webhook = [sample.received_at - sample.finished_at for sample in samples]
    yield latency("dispatch_latency", dispatch, at_most=10)
    yield latency("webhook_latency", webhook, at_most=10)


def callbacks(scale: Scale) -> Iterator[Figure]:
    """Measure from the first byte of fal's callback to the tenant's webhook."""
    with (
        stacks.opened(worker=True, poll_shortest=_NO_POLL, poll_longest=_NO_POLL) as stack,
        receivers.opened() as receiver,
    ):
        signer = Signer.stored_in(stack.folder / "sandbox")
        waits = [_called_back(stack, signer, receiver, number) for number in range(scale.samples + _WARM_UP)]
    yield latency("callback_latency", waits[_WARM_UP:], at_most=15)


def _called_back(stack: Stack, signer: Signer, receiver: Receiver, number: int) -> float:
    """Return the seconds from a callback's first byte to its webhook."""
    prompt = _SILENT.format(number=number).ljust(stacks.PROMPT_LENGTH, "x")
    wanted = {"prompt": prompt, "image_url": stacks.IMAGE, "webhook_url": receiver.url}
    _post(stack, json.dumps(wanted))
    job = _completed(stack, prompt)
    path = urllib.parse.urlsplit(job["webhook_url"]).path
    message = {"request_id": job["request_id"], "status": "OK", "payload": {"video": {"url": "https://example.com/v"}}}
    body = json.dumps(message).encode()
    time.sleep(random.uniform(0, _PAUSE))  # noqa: S311  (lest samples keep step with beat)
    connection = http.client.HTTPConnection("127.0.0.1", stack.port)
    connection.connect()
    called_at = time.time()
    headers = signer.headers(job["request_id"], int(called_at), body)
    connection.request("POST", path, body, {"content-type": "application/json", **headers})
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b'{"status":"ok"}')
    connection.close()
    return receiver.next().received_at - called_at


def _completed(stack: Stack, prompt: str) -> dict[str, str]:
    """Return the sandbox's record of a job, once it has ended and the gateway has its request id."""
    give_up = time.monotonic() + _FAL_PATIENCE
    while time.monotonic() < give_up:
        for job in httpx.get(f"{stack.sandbox_url}/_sandbox/requests").json():
            if job["prompt"] == prompt and job["status"] == "COMPLETED":
                found: dict[str, str] = job
                return found
        time.sleep(0.01)
    raise TimeoutError("the sandbox completed nothing")


def _sample(stack: Stack, receiver: Receiver, number: int) -> Sample:
    """One generation from POST to webhook."""
    time.sleep(random.uniform(0, _PAUSE))  # noqa: S311  (nobody guesses at it)
    wanted = {
        "prompt": _TEXT.format(number=number).ljust(stacks.PROMPT_LENGTH, "x"),
        "image_url": stacks.IMAGE,
        "webhook_url": receiver.url,
    }
    answered_at = _post(stack, json.dumps(wanted))
    event = receiver.next()
    finished_at = datetime.fromisoformat(event.generation["finished_at"]).timestamp()
    assert event.generation["input"]["prompt"] == wanted["prompt"]
    return Sample(wanted["prompt"], answered_at, finished_at, event.received_at)


def _post(stack: Stack, body: str) -> float:
    """Post. Return the time at which the response had been read."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.port)
    connection.request("POST", stacks.PATH, body, stacks.headers(stack))
    answer = connection.getresponse()
    text = answer.read()
    answered_at = time.time()
    connection.close()
    assert answer.status == 202, text
    return answered_at


def _submits(stack: Stack) -> dict[str, float]:
    """Return the time at which the sandbox received each submit, by prompt."""
    requests = httpx.get(f"{stack.sandbox_url}/_sandbox/requests").json()
    return {request["prompt"]: request["created_at"] for request in requests}
