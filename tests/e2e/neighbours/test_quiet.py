"""The measurement itself: without an attack tenant B is unharmed."""

from collections.abc import Iterator

import pytest

from service.cli.dev.stack import Stack
from tests.e2e.conftest import OVERRIDES
from tests.support.neighbours import Neighbour, assert_unharmed, measure, neighbour


@pytest.fixture
def b() -> Iterator[Neighbour]:
    with Stack(overrides=OVERRIDES) as stack, neighbour(stack, "b") as tenant:
        yield tenant


def test_measured_twice_alone_is_unharmed(b: Neighbour) -> None:
    assert_unharmed(measure(b, rounds=10), measure(b, rounds=10))
