"""A generation is one trace, from the tenant's request through both processes to the last webhook attempt."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.cli.dev.stack import Stack
from tests.e2e.conftest import OVERRIDES, TenantClient, client_of
from tests.support.collector import Collector, Seen
from tests.support.receiver import Receiver

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"
PROMPT = "sandbox:no-video hush-prompt"
END_USER = "hush-end-user"
CLIENT, SERVER = 3, 2


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture
def traced(collector: Collector, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Stack]:
    for name, value in collector.environment.items():
        monkeypatch.setenv(name, value)
    with Stack(overrides={**OVERRIDES, "media_url": tmp_path.as_uri()}) as running:
        yield running


@pytest.fixture
def client(traced: Stack) -> Iterator[TenantClient]:
    made = client_of(traced)
    with made.http:
        yield made


def stop(stack: Stack) -> None:
    """Stop with SIGTERM: the processes send their remaining spans."""
    for name in ("beat", "worker", "gateway"):
        stack.children[name].end()


def lines(stack: Stack) -> list[dict[str, Any]]:
    """Return the log lines of gateway and worker."""
    texts = [Path(stack.folder, f"{name}.log").read_text() for name in ("gateway", "worker")]
    return [json.loads(line) for text in texts for line in text.splitlines() if line.startswith("{")]


def named(spans: list[Seen], name: str) -> list[Seen]:
    return [span for span in spans if span.name == name]


def test_trace_from_create_to_last_webhook_attempt(
    traced: Stack, client: TenantClient, collector: Collector, receiver: Receiver
) -> None:
    receiver.answers[:] = [500, 503]
    client.http.headers["traceparent"] = TRACEPARENT
    made = client.create(PROMPT, end_user_id=END_USER, metadata={"hush-key": "hush-value"}, webhook_url=receiver.url)
    client.ended(made["id"])
    came = receiver.wait_for(lambda now: len(now) == 3)
    collector.wait_for(lambda now: bool(named(now, "generation.callback")))
    stop(traced)

    spans = [span for span in collector.spans if span.attributes.get("seedance.generation") == made["id"]]
    by_id = {span.span_id: span for span in collector.spans}
    (root,) = named(spans, "generation.create")
    attempts = sorted(named(spans, "webhook.attempt"), key=lambda span: span.attributes["seedance.attempt"])
    assert {span.trace_id for span in collector.spans} == {TRACE}
    assert (root.parent_id, root.kind, root.service) == (CALLER, SERVER, "seedance-gateway")
    expected = {"generation.queued", "generation.submit", "generation.submitted", "generation.poll", "webhook.attempt"}
    assert expected <= {span.name for span in spans}
    assert [span.attributes["seedance.outcome"] for span in named(spans, "video.copy")] == ["stored"]
    assert named(spans, "generation.callback")[0].service == "seedance-gateway"
    assert all(span.parent_id == root.span_id for span in spans if span is not root)
    assert len({span.pid for span in collector.spans}) == 2, "gateway and worker"
    assert {span.service for span in attempts} == {"seedance-worker"}
    for call, around in (("fal.submit", "generation.submit"), ("fal.result", "generation.poll")):
        (span,) = named(collector.spans, call)
        assert (by_id[span.parent_id].name, span.kind, span.attributes["seedance.outcome"]) == (around, CLIENT, "200")

    assert [(a.attributes["seedance.status"], a.attributes["seedance.outcome"]) for a in attempts] == [
        ("pending", "500"),
        ("pending", "503"),
        ("delivered", "204"),
    ]
    assert [a.links for a in attempts] == [[], [(TRACE, attempts[0].span_id)], [(TRACE, attempts[1].span_id)]]
    assert [r.headers["traceparent"] for r in came] == [f"00-{TRACE}-{a.span_id}-01" for a in attempts]
    assert b"hush" not in collector.raw
    assert client.stack.tenant_id.encode() in collector.raw


def test_generation_without_traceparent_starts_a_trace(
    traced: Stack, client: TenantClient, collector: Collector, receiver: Receiver
) -> None:
    """The log lines of both processes have its trace id."""
    made = client.create(PROMPT, webhook_url=receiver.url)
    client.ended(made["id"])
    receiver.wait_for(lambda now: len(now) == 1)
    stop(traced)

    (trace,) = {span.trace_id for span in collector.spans}
    (root,) = named(collector.spans, "generation.create")
    about = [line for line in lines(traced) if line.get("generation_id") == made["id"] and line["event"] != "request"]
    assert root.parent_id == ""
    assert receiver.received[0].headers["traceparent"].split("-")[1] == trace
    assert {"generation_transition", "submitted", "webhook_attempt"} <= {line["event"] for line in about}
    assert {line["trace_id"] for line in about} == {trace}
    assert {line["tenant"] for line in about} == {traced.tenant_id}


def test_trace_of_long_job_has_few_spans(traced: Stack, client: TenantClient, collector: Collector) -> None:
    """Polls without a change send no span: the time at fal is one span per status."""
    made = client.create(f"sandbox:seconds=4 sandbox:lost-webhook {PROMPT}")
    ended = client.ended(made["id"])
    stop(traced)

    (running,) = named(collector.spans, "generation.in_progress")
    assert ended["status"] == "succeeded"
    assert running.seconds > 1, "recorded afterwards"
    assert [span.attributes["seedance.outcome"] for span in named(collector.spans, "generation.poll")] == [
        "running",
        "completed",
    ]
    assert len(collector.spans) <= 12


def test_tracing_off_passes_traceparent_on(own_tenant: TenantClient, receiver: Receiver) -> None:
    """Receivers get the caller's traceparent unchanged, and log lines have no trace id."""
    own_tenant.http.headers["traceparent"] = TRACEPARENT
    made = own_tenant.create(PROMPT, webhook_url=receiver.url)
    own_tenant.ended(made["id"])

    (came,) = receiver.wait_for(lambda now: len(now) == 1)
    assert came.headers["traceparent"] == TRACEPARENT
    assert not [line for line in lines(own_tenant.stack) if "trace_id" in line]
