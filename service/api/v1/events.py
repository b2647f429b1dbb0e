"""``/v1/generations/{id}/events``: the changes of a generation as server-sent events."""

import asyncio
from collections.abc import Iterator
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from service.api.http.dependencies import caller_of, runtime, tenant
from service.api.http.methods import EVENT_STREAM
from service.api.http.middleware import REST
from service.api.http.raw_route import RawRoute
from service.api.http.streaming import send_within
from service.api.schemas import event_stream, problems
from service.api.v1.stream_tickets import TICKET, ticket_holder, ticket_of
from service.domain.stream import Event, events_since, is_over, parse_cursor
from service.domain.tenant import Scope, Tenant
from service.errors import Forbidden, Unauthenticated
from service.observability import metrics
from service.store.generations.changes import Subscription
from service.usecases.generations.stream import Snapshot
from service.usecases.tenants.caller import CredentialRef
from service.usecases.tenants.open_calls import OpenCall

router = APIRouter(prefix="/v1/generations", tags=["generations"], route_class=RawRoute)

#: A client that reads nothing for this long is disconnected. Until then the server buffers one write for it.
_SEND_SECONDS: Final = 10.0
#: Milliseconds after which a client reconnects when a stream has ended early.
_RETRY: Final = b"retry: 1000\n\n"
_HEARTBEAT: Final = b":\n\n"
_HEADERS: Final = [
    (b"content-type", EVENT_STREAM.encode()),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would hold events back
]
_DESCRIPTION: Final = """\
Server-sent events: `state` (the generation, at once and after each change of its status), `queue` (its `queue`, after \
each change of position or estimate), `log` (one line of `logs`). The stream ends after the last state, and after 30 \
minutes at the latest. A browser sends a `ticket` in the query instead of a key. To continue, send the `id` of the \
last event as `Last-Event-ID` to any gateway; if no event can follow, the response is 204. The response is an event \
stream, whatever `Accept` says: the route has no other form, and many HTTP clients always send \
`Accept: application/json`.
"""
_PARAMETERS: Final[list[dict[str, Any]]] = [
    {"name": "generation_id", "in": "path", "required": True, "schema": {"type": "string"}},
    {
        "name": "Last-Event-ID",
        "in": "header",
        "schema": {"type": "string"},
        "description": "The `id` of the last event you received. An unknown id starts from the current state. "
        "Default: the current state.",
    },
    {
        "name": TICKET,
        "in": "query",
        "schema": {"type": "string"},
        "description": "A stream ticket of this generation, instead of a key. Default: the key authenticates.",
    },
]
_EXAMPLE: Final = """\
id: 3-1-
event: log
data: {"message":"step 1","level":"INFO","timestamp":"2026-01-31T09:30:02.000Z"}

"""


@router.get(
    "/{generation_id}/events",  # noqa: FAST003  (a plain route reads it itself)
    summary="Follow a generation",
    description=_DESCRIPTION,
    response_class=Response,
    responses={
        200: event_stream("The stream of events.", _EXAMPLE),
        204: {"description": "The generation has ended, and you have received all events."},
        **problems(401, 403, 404, 422, 429, 503),
    },
    openapi_extra={"parameters": _PARAMETERS},
)
async def follow_generation(request: Request) -> Response:
    if (ticket := ticket_of(request)) is not None:
        return EventStream(request, *await ticket_holder(request, ticket), request.path_params["generation_id"])
    caller = await tenant(request, Scope.READ)
    return EventStream(request, caller, caller_of(request).credential, request.path_params["generation_id"])


class EventStream(Response):
    """A stream. Errors before its first byte are ordinary responses; then it continues outside of the framework.

    See ``middleware.REST``.
    """

    first = _RETRY
    more_headers: tuple[tuple[bytes, bytes], ...] = ()

    def __init__(self, request: Request, caller: Tenant, credential: CredentialRef, generation_id: str) -> None:
        self._gateway = runtime(request)
        self._credential = credential
        self._tenant = caller
        self._id = generation_id
        self._cursor = parse_cursor(request.headers.get("last-event-id", ""))
        self._subscription = Subscription()
        settings = self._gateway.settings
        self._heartbeat = settings.event_heartbeat.total_seconds()
        self._max_seconds = settings.event_stream_longest.total_seconds()

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        self._feed = feed = await self._gateway.generations.streams.subscribe(
            self._tenant, self._id, self._subscription
        )
        try:
            if over := feed.snapshot is not None and is_over(feed.snapshot.generation, self._cursor):
                await send({"type": "http.response.start", "status": 204, "headers": _HEADERS[1:]})
                await send({"type": "http.response.body"})
            else:
                headers = [*_HEADERS, *self.more_headers]
                await send({"type": "http.response.start", "status": 200, "headers": headers})
        except BaseException:
            self._leave()
            raise
        if over:
            self._leave()
        else:
            scope[REST] = self._continue

    async def _continue(self, receive: Receive, send: Send) -> None:
        disconnect = asyncio.create_task(_disconnected(receive, self._subscription), name="reader")
        reason = "disconnected"
        try:
            try:
                async with self._gateway.tenants.open_calls.open(self._credential, Scope.READ, self._tenant) as call:
                    reason = await self._send_events(call, disconnect, send)
            except (Unauthenticated, Forbidden):
                reason = "refused"
            if reason != "disconnected":
                await _write(send, self.last(reason), more=False)
        except TimeoutError:
            reason = "slow"  # the server closes the unfinished response
        finally:
            disconnect.cancel()
            self._leave()
            metrics.EVENT_STREAMS_ENDED.labels(reason).inc()
            await self.ended(reason)

    def _leave(self) -> None:
        self._gateway.generations.streams.unsubscribe(self._tenant, self._id, self._subscription)

    async def _send_events(self, call: OpenCall, disconnect: asyncio.Task[None], send: Send) -> str:
        """Send events until there is a reason to stop. Returns the reason, a label of the metric."""
        feed, subscription = self._feed, self._subscription
        clock = asyncio.get_running_loop().time
        end, silent_since = clock() + self._max_seconds, clock()
        if self.first:
            await _write(send, self.first)
        while not disconnect.done():
            feed.tenant = call.tenant
            if (sight := feed.snapshot) is None:
                return "erased"
            if told := self.events_since(sight):
                await _write(send, told)
                silent_since = clock()
            if sight.generation.is_terminal:
                return "finished"
            if feed.stopped:
                return "stopping"
            if clock() >= end:
                return "too_long"
            if clock() >= silent_since + self._heartbeat:
                await _write(send, _HEARTBEAT)
                silent_since = clock()
            await subscription.wait(within=min(silent_since + self._heartbeat, end) - clock())
        return "disconnected"

    def last(self, reason: str) -> bytes:  # noqa: ARG002  (for other kinds of streams)
        """Return the frames at the end of the stream. ``reason``: as in ``_send_events``, or ``refused``."""
        return b""

    async def ended(self, reason: str) -> None:
        """Receive the reason why the stream has ended; ``finished``: its last byte was written."""

    def events_since(self, sight: Snapshot) -> bytes:
        """Return the frames of the events after the cursor, and advance the cursor."""
        told = list(events_since(sight.generation, sight.queue, self._cursor))
        if told:
            self._cursor = told[-1].id
        return b"".join(_frames(told))


async def _write(send: Send, body: bytes, *, more: bool = True) -> None:
    """Send one chunk. Raises TimeoutError if the client does not read: the server waits for it."""
    await send_within(send, {"type": "http.response.body", "body": body, "more_body": more}, _SEND_SECONDS)


async def _disconnected(receive: Receive, subscription: Subscription) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    subscription.notify()


def _frames(told: list[Event]) -> Iterator[bytes]:
    for event in told:
        yield b"id: %s\nevent: %s\ndata: %s\n\n" % (str(event.id).encode(), event.kind.encode(), to_json(event.data))
