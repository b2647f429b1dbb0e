"""Several gateway processes behind one port: a scrape reaches any of them, and is told of all."""

import sys
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.cli.children import Child, accepts, free_port
from service.cli.stack import Stack

_CALLS = 40


@pytest.fixture
def several(stack: Stack) -> Iterator[str]:
    """The address of three gateways of the stack."""
    port = free_port()
    command = [sys.executable, "-m", "service.cli", "serve", "--port", str(port), "--workers", "3"]
    child = Child("gateways", command, log=stack.folder / "gateways.log", environment=stack.environment)
    url = f"http://127.0.0.1:{port}"
    try:
        child.wait_until(lambda: accepts(port) and httpx.get(f"{url}/readyz", trust_env=False).is_success)
        yield url
    finally:
        child.end()


def samples(url: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = httpx.get(f"{url}/metrics", trust_env=False).raise_for_status().text
    read = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    found = {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in read}
    assert len(found) == len(read), "no series comes twice"
    return found


def test_each_tells_what_all_have_counted(several: str) -> None:
    for _ in range(_CALLS):  # each over a connection of its own, to whichever process takes it
        assert httpx.get(f"{several}/v1/generations", trust_env=False).status_code == 401

    labels = (("method", "GET"), ("route", "/v1/generations"), ("status", "401"))
    told = [samples(several)["gateway_http_request_seconds_count", labels] for _ in range(6)]

    assert told == [_CALLS] * 6
    assert sum(name == "gateway_slots_used" for name, _ in samples(several)) == 1
    assert samples(several)["gateway_event_streams", ()] == 0
