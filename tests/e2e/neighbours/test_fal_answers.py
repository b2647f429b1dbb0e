"""fal answers with floods of bytes: every tenant's jobs go on, and no process grows."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx
import pytest

from service.cli.dev.stack import Stack
from tests.e2e.conftest import OVERRIDES, SAMPLES, TenantClient
from tests.support.neighbours import Neighbour, PeakMemory, assert_unharmed, measure, neighbour

#: What floods may add to the memory of a process. Packed, one answer has 256 MB.
MOST_MEMORY: Final = 64 * 1024 * 1024
#: Bound of tenant B's 99th percentile, in seconds: the sandbox makes the floods on the same two cores, and an upload,
#: which decodes an image in a process of its own, takes a second there without them.
WITHIN: Final = 5.0
FLOODS: Final = ("packed", "huge", "endless")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(overrides=OVERRIDES) as running:
        yield running


@pytest.fixture(scope="module")
def b(stack: Stack) -> Iterator[Neighbour]:
    with neighbour(stack, "b") as tenant:
        yield tenant


def faults(stack: Stack, **operations: Any) -> None:
    httpx.post(f"{stack.sandbox_url}/_sandbox/faults", json=operations, trust_env=False).raise_for_status()


@contextmanager
def bounded(stack: Stack) -> Iterator[None]:
    """Compare the memory of gateway and worker before and during the block."""
    with PeakMemory(stack.children["gateway"].pid) as gateway, PeakMemory(stack.children["worker"].pid) as worker:
        yield
    sys.stdout.write(f"gateway +{gateway.grown >> 20} MiB, worker +{worker.grown >> 20} MiB\n")
    assert gateway.grown < MOST_MEMORY
    assert worker.grown < MOST_MEMORY


def test_answers_too_large_leave_jobs_running(stack: Stack, b: Neighbour) -> None:
    """A submit, thirty polls and three results are floods. All of A's and B's jobs succeed, and each is paid once."""
    calm = measure(b, rounds=6)
    with neighbour(stack, "a") as a:
        mine, theirs = TenantClient(a.http, stack), TenantClient(b.http, stack)
        with bounded(stack):
            try:
                faults(
                    stack,
                    submit={"kind": "packed", "times": 1},
                    status=[{"kind": kind, "times": 10} for kind in FLOODS],
                    result=[{"kind": kind, "times": 1} for kind in FLOODS],
                )
                created = mine.create("sandbox:no-video of a, with a flood at the submit")
                harassed = measure(b, rounds=6)
                other = theirs.create("sandbox:no-video of b")
                ended = [mine.ended(created["id"]), theirs.ended(other["id"])]
            finally:
                faults(stack)
        assert [g["status"] for g in ended] == ["succeeded"] * 2
        assert len(mine.submits("sandbox:no-video of a, with a flood at the submit")) == 1
    assert_unharmed(calm, harassed, within=WITHIN)


@pytest.mark.parametrize("kind", FLOODS)
def test_storage_answer_too_large_refuses_upload(stack: Stack, b: Neighbour, kind: str) -> None:
    photo, headers = (SAMPLES / "rocket.jpg").read_bytes(), {"content-type": "image/jpeg"}
    with bounded(stack):
        try:
            faults(stack, storage={"kind": kind, "times": 1})
            refused = b.http.post("/v1/uploads", content=photo, headers=headers)
        finally:
            faults(stack)
    assert (refused.status_code, refused.json()["code"]) == (503, "upstream_unavailable")
    assert b.http.post("/v1/uploads", content=photo, headers=headers).status_code == 201
