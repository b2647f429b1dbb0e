"""Outcomes chosen by keywords in the prompt; keywords can be combined. An unknown keyword is refused with 400.

At submit
    sandbox:429[=N]  sandbox:503[=N]   fal's own JSON refusal for the first N (2) submits of that prompt, then accepted
    sandbox:500                        a bare 500 HTML page, never accepted
    sandbox:400  sandbox:422-submit    a JSON refusal, never accepted
    sandbox:lost-answer                accepted, runs, calls its webhook; the connection is closed without an answer
    sandbox:slow-answer[=S]            accepted, answered after S (5) real seconds
While it runs
    sandbox:queue-seconds=S            S real seconds in the queue
    sandbox:seconds=S                  S real seconds in progress
    sandbox:stuck-queue  sandbox:hang  IN_QUEUE, or IN_PROGRESS, forever
    sandbox:requeue                    falls back from IN_PROGRESS to IN_QUEUE once, then succeeds
    sandbox:uncancellable              a cancel is answered 202, yet the job completes and is billed
    sandbox:logs                       log lines over time, of which status shows a moving window
How it ends
    sandbox:policy                     422 content_policy_violation on the image
    sandbox:policy-output              422 content_policy_violation on the finished video
    sandbox:invalid-request            422 invalid_request: the partner could not fetch the image
    sandbox:bad-image                  422 image_load_error
    sandbox:error-500                  500 internal_server_error of the model
    sandbox:timeout                    504 request_timeout of the platform
    sandbox:runner-503                 503 runner_connection_error of the platform
    sandbox:expired-result             COMPLETED and billed, but the result is 404
    sandbox:no-video                   succeeds with a tiny ready-made file instead of rendering one
Webhook
    sandbox:lost-webhook  sandbox:double-webhook  sandbox:late-webhook[=S] (5 real seconds)
    sandbox:null-payload               status OK, payload null, a payload_error
    sandbox:forged-webhook             signed with an unpublished key
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from sandbox import endings
from sandbox.outcome import Outcome

TOKEN = re.compile(r"(?<!\w)sandbox:([a-z0-9]+(?:-[a-z0-9]+)*)(?:=(\d+(?:\.\d+)?))?")


class UnknownFaultError(ValueError):
    """The prompt names an unknown fault."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    refusal: str | None = None  # a kind of `refusals.py`
    refusals: float = 0
    answer_lost: bool = False
    answer_delay: float = 0
    queue_seconds: float | None = None  # None: as the settings say; infinite: never leaves the queue
    run_seconds: float | None = None
    requeue: bool = False
    cancellable: bool = True
    logs: bool = False
    ending: Outcome | None = None
    expired: bool = False
    render: bool = True
    webhook_copies: int = 1
    webhook_delay: float = 0
    webhook_forged: bool = False
    webhook_null: bool = False


Option = float | None
ChangeFeed = Callable[[Option], dict[str, Any]]


def _fixed(**changes: Any) -> ChangeFeed:
    return lambda _: changes


def _seconds(field: str, default: float = 5) -> ChangeFeed:
    return lambda option: {field: default if option is None else option}


def _refused(kind: str, times: float) -> ChangeFeed:
    return lambda option: {"refusal": kind, "refusals": times if option is None else option}


TOKENS: dict[str, ChangeFeed] = {
    "429": _refused("429", 2),
    "503": _refused("503", 2),
    "500": _refused("500", math.inf),
    "400": _refused("400", math.inf),
    "422-submit": _refused("422", math.inf),
    "lost-answer": _fixed(answer_lost=True),
    "slow-answer": _seconds("answer_delay"),
    "queue-seconds": _seconds("queue_seconds"),
    "seconds": _seconds("run_seconds"),
    "stuck-queue": _fixed(queue_seconds=math.inf),
    "hang": _fixed(run_seconds=math.inf),
    "requeue": _fixed(requeue=True),
    "uncancellable": _fixed(cancellable=False),
    "logs": _fixed(logs=True),
    "policy": _fixed(ending=endings.POLICY),
    "policy-output": _fixed(ending=endings.POLICY_OUTPUT),
    "invalid-request": _fixed(ending=endings.INVALID_REQUEST),
    "bad-image": _fixed(ending=endings.BAD_IMAGE),
    "error-500": _fixed(ending=endings.ERROR_500),
    "timeout": _fixed(ending=endings.TIMEOUT),
    "runner-503": _fixed(ending=endings.RUNNER_503),
    "expired-result": _fixed(expired=True),
    "no-video": _fixed(render=False),
    "lost-webhook": _fixed(webhook_copies=0),
    "double-webhook": _fixed(webhook_copies=2),
    "late-webhook": _seconds("webhook_delay"),
    "null-payload": _fixed(webhook_null=True),
    "forged-webhook": _fixed(webhook_forged=True),
}

ORDINARY = Behaviour()


def behaviour_of(prompt: str) -> Behaviour:
    if "sandbox:" not in prompt:
        return ORDINARY
    return _combined(tuple(TOKEN.findall(prompt)))


@lru_cache(maxsize=4096)
def _combined(words: tuple[tuple[str, str], ...]) -> Behaviour:
    behaviour = ORDINARY
    for name, option in words:
        if name not in TOKENS:
            raise UnknownFaultError(f"unknown sandbox fault {name!r}; known are {', '.join(TOKENS)}")
        behaviour = replace(behaviour, **TOKENS[name](float(option) if option else None))
    return behaviour
