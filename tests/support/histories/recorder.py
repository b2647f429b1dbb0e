"""A transport that records what a client does with generations, and a background reader."""

import json
import random
import re
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, Final

import httpx

from tests.support.histories.operations import Action, History, Operation, budget_of, view_of

_ACTIONS: Final[Sequence[tuple[re.Pattern[str], Action]]] = (
    (re.compile("POST /v1/generations"), "create"),
    (re.compile("GET /v1/generations"), "list"),
    (re.compile("GET /v1/me"), "usage"),
    (re.compile(r"GET /v1/generations/(gen_\w+)"), "read"),
    (re.compile(r"POST /v1/generations/(gen_\w+)/cancel"), "cancel"),
)


class Recording(httpx.BaseTransport):
    """Sends requests, and records those about generations and budgets, with begin, end and response."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._inner = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        action, subject = _action(request)
        if action is None:
            return self._inner.handle_request(request)
        began, answered = time.monotonic(), None
        try:
            response = self._inner.handle_request(request)
            response.read()
            answered = response
        finally:
            ended = time.monotonic()
            self._history.operations.append(_operation(request, answered, action, subject, began, ended))
        return response

    def close(self) -> None:
        self._inner.close()


def recording_client(base_url: str, token: str | None, history: History) -> httpx.Client:
    """Return a client whose operations are recorded. ``token`` None: each request has its own."""
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return httpx.Client(base_url=base_url, headers=headers, timeout=30, transport=Recording(history))


@contextmanager
def background_reader(
    client: httpx.Client, tokens: list[str], history: History, *, pause: float = 0.3, cancels: float = 0.0
) -> Iterator[None]:
    """Read lists, budgets and known generations in a thread, in turns. ``cancels``: share of reads that cancel."""
    done, rng = threading.Event(), random.Random(len(tokens))  # noqa: S311  (no secret)

    def read() -> None:
        turn = 0
        while not done.wait(pause):
            token, turn = tokens[turn % len(tokens)], turn + 1
            headers = {"authorization": f"Bearer {token}"}
            with suppress(httpx.TransportError):
                client.get("/v1/me", headers=headers)
                client.get("/v1/generations", params={"limit": "20"}, headers=headers)
                known = _known(history, token)
                if known and rng.random() < cancels:
                    client.post(f"/v1/generations/{known[-1]}/cancel", headers=headers)
                if known:
                    client.get(f"/v1/generations/{rng.choice(known[-20:])}", headers=headers)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(read)
        try:
            yield
        finally:
            done.set()
        running.result(90)


def _known(history: History, token: str) -> list[str]:
    """Return the generations of a client whose create it has seen accepted."""
    return [
        one.views[0].id
        for one in list(history.operations)
        if one.action == "create" and one.client == token and one.views
    ]


def _action(request: httpx.Request) -> tuple[Action | None, str | None]:
    """Return the recorded action, and the id in the path; None: another request."""
    for pattern, action in _ACTIONS:
        if match := pattern.fullmatch(f"{request.method} {request.url.path}"):
            return action, match.group(1) if match.groups() else None
    return None, None


def _operation(
    request: httpx.Request,
    response: httpx.Response | None,
    action: Action,
    subject: str | None,
    began: float,
    ended: float,
) -> Operation:
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    sent: Any = json.loads(request.content) if action == "create" else {}
    body: Any = response.json() if response is not None and response.is_success else None
    shown = [] if body is None or action == "usage" else body["data"] if action == "list" else [body]
    return Operation(
        client=token,
        action=action,
        began=began,
        ended=ended,
        answer=None if response is None else response.status_code,
        key=request.headers.get("idempotency-key"),
        prompt=sent.get("prompt", ""),
        subject=subject,
        views=tuple(map(view_of, shown)),
        budget=budget_of(body) if body is not None and action == "usage" else None,
    )
