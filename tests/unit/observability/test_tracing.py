"""Tracing: off by default and then not imported; on, without private data and without delaying the process."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from service.errors import NotFound
from service.observability import tracing
from tests.guards.repository import ROOT
from tests.support import factories
from tests.support.collector import Collector

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}


@pytest.fixture(autouse=True)
def no_otel_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    yield
    tracing.shut_down()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector() as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.mark.parametrize(
    ("environment", "enabled"),
    [
        ({}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "True"}, False),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "false"}, True),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, False),
    ],
)
def test_tracing_enabled_by_environment(environment: dict[str, str], enabled: bool) -> None:
    assert tracing._is_enabled(environment) is enabled


#: As in the processes. FastAPI and redis import an installed OpenTelemetry themselves; the gateway imports nothing.
BEGIN = "from service.observability import tracing; tracing.configure('x')"
WORKER = f"import workers.worker_process, workers.tasks; {BEGIN}"
GATEWAY = f"import service.app; {BEGIN}"
COMMANDS = f"import service.cli.ops.session; {BEGIN}"
PRINT_MODULES = (
    "; import sys; sys.stdout.write(' '.join(sorted(n for n in sys.modules if n.startswith('opentelemetry'))))"
)


@cache  # an interpreter that imports the gateway takes two seconds
def modules_of(code: str, **environment: str) -> list[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    needed = factories.settings("redis://127.0.0.1:9/0").environment()
    return subprocess.run(
        [sys.executable, "-c", code + PRINT_MODULES],
        env={**clean, **needed, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()


@pytest.mark.slow  # eight interpreters are started
@pytest.mark.parametrize("environment", [{}, {**ENDPOINT, "OTEL_SDK_DISABLED": "true"}], ids=["default", "disabled"])
def test_tracing_off_imports_nothing(environment: dict[str, str]) -> None:
    assert (
        modules_of(
            "import service.observability.tracing, service.observability.log, httpx, aiohttp, celery; " + BEGIN,
            **environment,
        )
        == []
    )
    assert modules_of(WORKER, **environment) == modules_of("import redis.asyncio")
    assert modules_of(COMMANDS, **environment) == []
    assert modules_of(GATEWAY, **environment) == modules_of("import fastapi, redis.asyncio")


@pytest.mark.slow
def test_tracing_on_imports_sdk() -> None:
    new = set(modules_of(WORKER, **ENDPOINT)) - set(modules_of(WORKER))
    assert {"opentelemetry.sdk.trace.export", "opentelemetry.exporter.otlp.proto.http.trace_exporter"} <= new


def test_tracing_without_extra_warns_and_stays_off(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(*next(iter(ENDPOINT.items())))
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)

    tracing.configure("test")

    assert not tracing.is_on()
    assert "seedance-gateway[otel]" in caplog.text


def test_tracing_off_spans_do_nothing() -> None:
    tracing.configure("test")

    with tracing.span("a", parent=PARENT, generation="g") as span, tracing.child("b") as part:
        tracing.record_past("c", parent=PARENT, begun=factories.NOW, ended=factories.NOW)
        span.annotate(outcome="x")
        span.discard()
    assert span is part is tracing.OFF
    assert (span.traceparent, tracing.log_fields(PARENT), tracing.is_on()) == (None, {}, False)


def test_tracing_parents_and_links(collector: Collector) -> None:
    tracing.configure("test")
    begun = datetime.now(UTC) - timedelta(minutes=5)
    with tracing.child("alone"), tracing.span("first") as first:
        with tracing.span("elsewhere", parent=PARENT, link=first.traceparent):
            tracing.child("inside", kind="client").__enter__().__exit__(None, None, None)
        with tracing.span("discarded") as discarded:
            discarded.discard()
        tracing.record_past("past", parent=first.traceparent, begun=begun, ended=begun + timedelta(minutes=4))
        tracing.record_past("without parent", parent=None, begun=begun, ended=begun)
    assert tracing.log_fields(PARENT) == {"trace_id": TRACE}
    tracing.shut_down()

    seen = {span.name: span for span in collector.spans}
    assert seen.keys() == {"first", "elsewhere", "inside", "past"}
    assert seen["elsewhere"].trace_id == seen["inside"].trace_id == TRACE
    assert seen["elsewhere"].links == [(seen["first"].trace_id, seen["first"].span_id)]
    assert seen["inside"].parent_id == seen["elsewhere"].span_id
    assert (seen["past"].parent_id, seen["past"].seconds) == (seen["first"].span_id, 240)


def test_unsampled_parent_is_not_traced(collector: Collector) -> None:
    tracing.configure("test")
    with tracing.span("quiet", parent=f"{PARENT[:-2]}00") as span:
        assert span.traceparent is not None
        assert span.traceparent.startswith(f"00-{TRACE}-")
        assert span.traceparent.endswith("-00"), "receivers get the flag"
    tracing.shut_down()

    assert collector.spans == []


def test_span_of_exception_has_its_type_only(collector: Collector) -> None:
    tracing.configure("test")
    for error in (RuntimeError("hush: a prompt"), NotFound("hush: a limit")):
        with pytest.raises(type(error)), tracing.span(type(error).__name__):
            raise error
    tracing.shut_down()

    seen = {span.name: (span.attributes["seedance.outcome"], span.failed) for span in collector.spans}
    assert seen == {"RuntimeError": ("RuntimeError", True), "NotFound": ("NotFound", False)}
    assert b"hush" not in collector.raw


def test_hanging_collector_does_not_delay_shutdown(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    collector.hangs = True
    monkeypatch.setattr(tracing, "FLUSH_SECONDS", 0.5)
    tracing.configure("test")
    with tracing.span("lost"):
        pass

    begun = time.monotonic()
    tracing.shut_down()

    assert time.monotonic() - begun < 9
