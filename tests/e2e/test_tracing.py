"""A generation is one trace, from the tenant's request through both processes to the last webhook attempt."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from service.cli.dev.stack import Stack
from tests.e2e.conftest import OVERRIDES, TenantClient, client_of
from tests.support.collector import Collector, Seen
from tests.support.receiver import Received, Receiver

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"
PROMPT = "sandbox:no-video hush-prompt"
END_USER = "hush-end-user"
CLIENT, SERVER = 3, 2


@dataclass(frozen=True)
class Recorded:
    """Everything that one stack sent and wrote while three generations ran, each with its own trace."""

    generations: dict[str, Any]
    """The ended generations, by the name of their part."""
    tenant_id: str
    spans: list[Seen]
    raw: bytes
    lines: list[dict[str, Any]]
    received: dict[str, list[Received]]

    def trace(self, name: str) -> list[Seen]:
        """Return all spans of the trace of this generation."""
        made = self.generations[name]["id"]
        (trace,) = {span.trace_id for span in self.spans if span.attributes.get("seedance.generation") == made}
        return [span for span in self.spans if span.trace_id == trace]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    media = tmp_path_factory.mktemp("media").as_uri()
    with (
        pytest.MonkeyPatch.context() as patch,
        Collector() as collector,
        Receiver() as failing,
        Receiver() as receiver,
    ):
        for name, value in collector.environment.items():
            patch.setenv(name, value)
        with Stack(overrides={**OVERRIDES, "media_url": media}) as stack, client_of(stack).http as http:
            client = TenantClient(http, stack)
            made = {
                "traced": _create_traced(client, failing),
                "untraced": client.create(PROMPT, webhook_url=receiver.url),
                "long": client.create(f"sandbox:seconds=4 sandbox:lost-webhook {PROMPT}"),
            }
            ended = {name: client.ended(g["id"]) for name, g in made.items()}
            received = {
                "traced": failing.wait_for(lambda now: len(now) == 3),
                "untraced": receiver.wait_for(lambda now: len(now) == 1),
            }
            collector.wait_for(lambda now: len(named(now, "generation.callback")) == 2)
            for name in ("beat", "worker", "gateway"):  # SIGTERM: the processes send their remaining spans
                stack.children[name].end()
            return Recorded(ended, stack.tenant_id, collector.spans, collector.raw, lines(stack), received)


def _create_traced(client: TenantClient, failing: Receiver) -> Any:
    failing.answers[:] = [500, 503]
    client.http.headers["traceparent"] = TRACEPARENT
    metadata = {"hush-key": "hush-value"}
    made = client.create(PROMPT, end_user_id=END_USER, metadata=metadata, webhook_url=failing.url)
    del client.http.headers["traceparent"]
    return made


def lines(stack: Stack) -> list[dict[str, Any]]:
    """Return the log lines of gateway and worker."""
    texts = [Path(stack.folder, f"{name}.log").read_text() for name in ("gateway", "worker")]
    return [json.loads(line) for text in texts for line in text.splitlines() if line.startswith("{")]


def named(spans: list[Seen], name: str) -> list[Seen]:
    return [span for span in spans if span.name == name]


def test_trace_from_create_to_last_webhook_attempt(recorded: Recorded) -> None:
    made = recorded.generations["traced"]
    trace = recorded.trace("traced")
    spans = [span for span in trace if span.attributes.get("seedance.generation") == made["id"]]
    by_id = {span.span_id: span for span in trace}
    (root,) = named(spans, "generation.create")
    attempts = sorted(named(spans, "webhook.attempt"), key=lambda span: span.attributes["seedance.attempt"])
    assert {span.trace_id for span in trace} == {TRACE}
    assert (root.parent_id, root.kind, root.service) == (CALLER, SERVER, "seedance-gateway")
    expected = {"generation.queued", "generation.submit", "generation.submitted", "generation.poll", "webhook.attempt"}
    assert expected <= {span.name for span in spans}
    assert [span.attributes["seedance.outcome"] for span in named(spans, "video.copy")] == ["stored"]
    assert named(spans, "generation.callback")[0].service == "seedance-gateway"
    assert all(span.parent_id == root.span_id for span in spans if span is not root)
    assert len({span.pid for span in trace}) == 2, "gateway and worker"
    assert {span.service for span in attempts} == {"seedance-worker"}
    for call, around in (("fal.submit", "generation.submit"), ("fal.result", "generation.poll")):
        (span,) = named(trace, call)
        assert (by_id[span.parent_id].name, span.kind, span.attributes["seedance.outcome"]) == (around, CLIENT, "200")

    assert [(a.attributes["seedance.status"], a.attributes["seedance.outcome"]) for a in attempts] == [
        ("pending", "500"),
        ("pending", "503"),
        ("delivered", "204"),
    ]
    assert [a.links for a in attempts] == [[], [(TRACE, attempts[0].span_id)], [(TRACE, attempts[1].span_id)]]
    came = recorded.received["traced"]
    assert [r.headers["traceparent"] for r in came] == [f"00-{TRACE}-{a.span_id}-01" for a in attempts]


def test_spans_name_the_tenant_and_no_content(recorded: Recorded) -> None:
    assert b"hush" not in recorded.raw
    assert recorded.tenant_id.encode() in recorded.raw


def test_generation_without_traceparent_starts_a_trace(recorded: Recorded) -> None:
    """The log lines of both processes have its trace id."""
    made = recorded.generations["untraced"]
    (root,) = named(recorded.trace("untraced"), "generation.create")
    about = [line for line in recorded.lines if line.get("generation_id") == made["id"] and line["event"] != "request"]
    assert root.parent_id == ""
    assert recorded.received["untraced"][0].headers["traceparent"].split("-")[1] == root.trace_id
    assert {"generation_transition", "submitted", "webhook_attempt"} <= {line["event"] for line in about}
    assert {line["trace_id"] for line in about} == {root.trace_id}
    assert {line["tenant"] for line in about} == {recorded.tenant_id}


def test_every_span_belongs_to_the_trace_of_a_generation(recorded: Recorded) -> None:
    traces = {name: recorded.trace(name)[0].trace_id for name in recorded.generations}
    assert len(set(traces.values())) == 3
    assert {span.trace_id for span in recorded.spans} == set(traces.values())


def test_trace_of_long_job_has_few_spans(recorded: Recorded) -> None:
    """Polls without a change send no span: the time at fal is one span per status."""
    trace = recorded.trace("long")
    (running,) = named(trace, "generation.in_progress")
    assert recorded.generations["long"]["status"] == "succeeded"
    assert running.seconds > 1, "recorded afterwards"
    assert [span.attributes["seedance.outcome"] for span in named(trace, "generation.poll")] == ["running", "completed"]
    assert len(trace) <= 12


def test_tracing_off_passes_traceparent_on(own_tenant: TenantClient, receiver: Receiver) -> None:
    """Receivers get the caller's traceparent unchanged, and log lines have no trace id."""
    own_tenant.http.headers["traceparent"] = TRACEPARENT
    made = own_tenant.create(PROMPT, webhook_url=receiver.url)
    own_tenant.ended(made["id"])

    (came,) = receiver.wait_for(lambda now: len(now) == 1)
    assert came.headers["traceparent"] == TRACEPARENT
    assert not [line for line in lines(own_tenant.stack) if "trace_id" in line]
