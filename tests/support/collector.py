"""An OTLP/HTTP receiver of traces that decodes and stores its requests."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Seen:
    """A span as it was exported."""

    name: str
    service: str
    pid: int
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    attributes: dict[str, Any]
    links: list[tuple[str, str]]
    seconds: float
    failed: bool


@dataclass
class Collector:
    spans: list[Seen] = field(default_factory=list)
    raw: bytes = b""
    """All bodies, to search for texts that must not occur."""
    hangs: bool = False
    """While set, no request gets a response."""

    def __enter__(self) -> Self:
        collector, self._came, self._over = self, threading.Condition(), threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if collector.hangs:
                    collector._over.wait(60)
                with collector._came:
                    collector.raw += body
                    collector.spans += _read(body)
                    collector._came.notify_all()
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def environment(self) -> dict[str, str]:
        """Return the standard environment variables, with a short export interval."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}

    def wait_for(self, wanted: Callable[[list[Seen]], bool], *, within: float = 90) -> list[Seen]:
        give_up = time.monotonic() + within
        with self._came:
            came = self._came.wait_for(lambda: wanted(self.spans), max(0.0, give_up - time.monotonic()))
        assert came, f"only {[span.name for span in self.spans]} arrived within {within} s"
        return list(self.spans)


def _read(body: bytes) -> list[Seen]:
    request = ExportTraceServiceRequest.FromString(body)
    seen = []
    for group in request.resource_spans:
        resource = _plain(group.resource.attributes)
        seen += [
            Seen(
                name=span.name,
                service=str(resource["service.name"]),
                pid=int(resource["process.pid"]),
                trace_id=span.trace_id.hex(),
                span_id=span.span_id.hex(),
                parent_id=span.parent_span_id.hex(),
                kind=span.kind,
                attributes=_plain(span.attributes),
                links=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
                seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
                failed=span.status.code == span.status.STATUS_CODE_ERROR,
            )
            for scope in group.scope_spans
            for span in scope.spans
        ]
    return seen


def _plain(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
