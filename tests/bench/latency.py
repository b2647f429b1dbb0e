"""How soon things happen when nothing else does: POST answered -> fal called; result seen -> webhook received."""

import http.client
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import httpx

from service.cli.stack import Stack
from tests.bench import receiver as receivers
from tests.bench import stack as stacks
from tests.bench.figures import Figure, latency
from tests.bench.receiver import Receiver
from tests.bench.scale import Scale

#: At fal for as short as it goes: the next poll, a second later, sees it ended.
_TEXT: Final = "sandbox:no-video sandbox:queue-seconds=0 sandbox:seconds=0.2 sample {number} "
#: Up to so long after a webhook comes the next POST, lest samples keep step with beat.
_PAUSE: Final = 0.3
_WARM_UP: Final = 2


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
    """When the answer had been read."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.port)
    connection.request("POST", stacks.PATH, body, stacks.headers(stack))
    answer = connection.getresponse()
    text = answer.read()
    answered_at = time.time()
    connection.close()
    assert answer.status == 202, text
    return answered_at


def _submits(stack: Stack) -> dict[str, float]:
    """When the sandbox received each submit, by prompt."""
    requests = httpx.get(f"{stack.sandbox_url}/_sandbox/requests").json()
    return {request["prompt"]: request["created_at"] for request in requests}
