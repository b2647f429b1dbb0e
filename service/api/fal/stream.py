"""The status of a request as server-sent events: the stream of the generation, in fal's form."""

from collections.abc import Callable
from dataclasses import replace

from fastapi import Request
from pydantic_core import to_json
from starlette.types import Receive, Scope, Send

from service.api.fal.responses import REQUEST_ID, UnknownRequest
from service.api.http.dependencies import caller_of, count_call
from service.api.v1.events import EventStream
from service.domain import fal_view
from service.domain.generation import Generation, LogLine
from service.domain.tenant import Tenant
from service.errors import NotFound
from service.usecases.generations.stream import Snapshot


def wants_logs(request: Request) -> bool:
    query: bytes = request.scope["query_string"].lower()
    return b"logs=1" in query or b"logs=true" in query


class StatusStream(EventStream):
    """Send the whole status in each event, but each log line once: clients collect the lines."""

    first = b""

    def __init__(self, request: Request, tenant: Tenant, request_url: Callable[[Generation], str]) -> None:
        super().__init__(request, tenant, caller_of(request).credential, request.path_params["request_id"])
        self.more_headers = ((REQUEST_ID.encode(), self._id.encode("latin-1", "replace")),)
        self._request_url = request_url
        self._with_logs = wants_logs(request)
        self._seen: Snapshot | None = None
        self._sent_lines: set[LogLine] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except NotFound as error:
            await count_call(Request(scope), self._tenant)  # as in every read of an unknown request
            raise UnknownRequest(error.detail) from None

    def events_since(self, sight: Snapshot) -> bytes:
        if sight is self._seen:
            return b""
        self._seen = sight
        g, queue = sight.generation, sight.queue
        fresh = tuple(line for line in g.logs if line not in self._sent_lines)
        self._sent_lines.update(fresh)
        position = None if queue is None else queue["position"]
        _, body = fal_view.status(replace(g, logs=fresh), self._request_url(g), position, with_logs=self._with_logs)
        return b"data: " + to_json(body) + b"\n\n"
