"""One trace per generation, from the tenant's call to the last webhook attempt, where ``OTEL_*`` asks for traces.

Hides OpenTelemetry. Off, nothing of it is imported and each call here is a look at a None. What names a span is closed:
ids, words of ours and counts, so that no prompt and no end user can get into one.
"""

import logging
import os
import threading
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Literal, Self, TypedDict, Unpack

Kind = Literal["internal", "server", "client"]


class About(TypedDict, total=False):
    """What a span tells beside its name and its times; an attribute ``seedance.<name>`` each."""

    generation: str | None
    tenant: str
    delivery: str
    status: str
    outcome: str | None
    attempt: int
    tries: int


#: Spans not sent by then are lost: a collector that is away must not hold up a restart.
FLUSH_SECONDS: Final = 5.0
_PROTOCOL: Final = "http/protobuf"

_logger: Final = logging.getLogger(__name__)
_tracing: "_Tracing | None" = None


def configure(service: str) -> None:
    """Once per process, before anything is traced; ``OTEL_SERVICE_NAME`` overrides the name."""
    global _tracing  # noqa: PLW0603  (one per process, by design)
    if _tracing is not None or not _is_wanted(os.environ):
        return
    try:
        _tracing = _Tracing(service)
    except ImportError:
        _logger.warning("OTEL_* asks for traces, but this was installed without its extra: seedance-gateway[otel]")


def shut_down() -> None:
    """Send what is left, for FLUSH_SECONDS at most."""
    global _tracing
    tracing, _tracing = _tracing, None
    if tracing is not None:
        tracing.flush(FLUSH_SECONDS)


def span(
    name: str, *, parent: str | None = None, kind: Kind = "internal", link: str | None = None, **about: Unpack[About]
) -> "Span":
    """What goes on inside of it, as a child of ``parent`` (a traceparent); None: the first of a trace."""
    return OFF if _tracing is None else _tracing.begin(name, parent, kind, link, about)


def part(name: str, *, kind: Kind = "internal", **about: Unpack[About]) -> "Span":
    """The same as a child of the span around it; nothing where there is none."""
    return OFF if _tracing is None else _tracing.part(name, kind, about)


def past(name: str, *, parent: str | None, begun: datetime, ended: datetime, **about: Unpack[About]) -> None:
    """What nobody was there to see begin: a time in a queue, a state."""
    if _tracing is not None and parent is not None:
        _tracing.past(name, parent, begun, ended, about)


def fields(traceparent: str | None) -> dict[str, str]:
    """For lines of the log: ``trace_id`` of a traceparent, while tracing is on."""
    return {} if _tracing is None or traceparent is None else {"trace_id": traceparent.split("-")[1]}


def is_on() -> bool:
    return _tracing is not None


class Span:
    """The one of a process that traces nothing; see ``_Live``."""

    traceparent: str | None = None
    """Of the span itself, for who goes on from it; None: there is none."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing was begun."""

    def note(self, **about: Unpack[About]) -> None:
        """What is known by now."""

    def forget(self) -> None:
        """It was not worth telling: a look that saw nothing new."""


OFF: Final = Span()


def _is_wanted(environment: Mapping[str, str]) -> bool:
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if "otlp" not in environment.get("OTEL_TRACES_EXPORTER", "otlp"):
        return False
    if not any(environment.get(f"OTEL_EXPORTER_OTLP_{name}") for name in ("TRACES_ENDPOINT", "ENDPOINT")):
        return False
    protocol = environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environment.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol not in (None, "", _PROTOCOL):
        _logger.warning("OTEL_* asks for traces by a protocol that is not spoken here; only %s is", _PROTOCOL)
        return False
    return True


class _Tracing:
    """OpenTelemetry's own names, imported here and nowhere else."""

    def __init__(self, service: str) -> None:
        from opentelemetry import context, trace  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        own: dict[str, Any] = {"process.pid": os.getpid()}
        if "OTEL_SERVICE_NAME" not in os.environ and "service.name=" not in os.environ.get(
            "OTEL_RESOURCE_ATTRIBUTES", ""
        ):
            own["service.name"] = service  # what is given here would override both
        self.context, self.trace = context, trace
        self._propagator = TraceContextTextMapPropagator()
        self._provider = TracerProvider(resource=Resource.create(own), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("seedance-gateway")

    def begin(self, name: str, parent: str | None, kind: Kind, link: str | None, about: About) -> "_Live":
        links = [] if link is None else [self.trace.Link(self._context_of(link))]
        within = self._within(parent)
        started = self._tracer.start_span(
            name, within, kind=self._kind(kind), links=links, attributes=_attributes(about), **_QUIET
        )
        return _Live(self, started)

    def part(self, name: str, kind: Kind, about: About) -> Span:
        if not self.trace.get_current_span().get_span_context().is_valid:
            return OFF
        started = self._tracer.start_span(name, kind=self._kind(kind), attributes=_attributes(about), **_QUIET)
        return _Live(self, started)

    def past(self, name: str, parent: str, begun: datetime, ended: datetime, about: About) -> None:
        first, last = _nanoseconds(begun), _nanoseconds(ended)
        started = self._tracer.start_span(
            name, self._within(parent), attributes=_attributes(about), start_time=first, **_QUIET
        )
        started.end(max(first, last))

    def flush(self, seconds: float) -> None:
        """In a thread: the exporter repeats what fails, and waits in between without a bound that we could set."""
        sending = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        sending.start()
        sending.join(seconds)

    def _within(self, parent: str | None) -> Any:
        nothing = self.context.Context()  # not what happens to go on around it
        return nothing if parent is None else self._propagator.extract({"traceparent": parent}, nothing)

    def _context_of(self, traceparent: str) -> Any:
        return self.trace.get_current_span(self._within(traceparent)).get_span_context()

    def _kind(self, kind: Kind) -> Any:
        return self.trace.SpanKind[kind.upper()]


#: An exception's text may hold what a trace must not: only its type is told, by us.
_QUIET: Final[dict[str, Any]] = {"record_exception": False, "set_status_on_exception": False}


class _Live(Span):
    """Current from ``with`` to its end."""

    def __init__(self, tracing: _Tracing, started: Any) -> None:
        self._tracing = tracing
        self._span = started
        self._told = True
        own = started.get_span_context()
        self.traceparent = f"00-{own.trace_id:032x}-{own.span_id:016x}-{own.trace_flags:02x}" if own.is_valid else None

    def __enter__(self) -> Self:
        tracing = self._tracing
        self._token = tracing.context.attach(tracing.trace.set_span_in_context(self._span))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tracing.context.detach(self._token)
        if kind is not None:
            self._span.set_attribute("seedance.outcome", kind.__name__)
            if getattr(error, "status", 500) >= 500:  # a refusal is an answer, not a fault
                self._span.set_status(self._tracing.trace.Status(self._tracing.trace.StatusCode.ERROR, kind.__name__))
        if self._told:
            self._span.end()

    def note(self, **about: Unpack[About]) -> None:
        self._span.set_attributes(_attributes(about))

    def forget(self) -> None:
        self._told = False  # one that never ends is never sent


def _attributes(about: About) -> dict[str, Any]:
    return {f"seedance.{name}": value for name, value in about.items() if value is not None}


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1_000
