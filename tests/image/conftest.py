"""The images and one stack of containers for all tests of this folder. ``make image-test`` runs it."""

import time
from collections.abc import Iterator

import pytest

from tests.image import images
from tests.image.engine import CannotRun, Engine
from tests.image.stack import Stack

_FIGURES: list[str] = []


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """Return the engine with all images. Nothing of it is left after the tests, whatever their result."""
    try:
        engine = Engine()
    except CannotRun as error:
        pytest.exit(str(error), returncode=1)
    before = time.monotonic()
    try:
        images.build(engine)
        _FIGURES.append(f"images built in {time.monotonic() - before:.0f} s")
        _FIGURES.extend(f"{size:7.1f} MB  {name}" for name, size in images.parts(engine))
        yield engine
    finally:
        engine.close()


@pytest.fixture(scope="session")
def stack(engine: Engine) -> Stack:
    before = time.monotonic()
    stack = Stack(engine)
    stack.start()
    _FIGURES.append(f"containers healthy in {time.monotonic() - before:.0f} s")
    return stack


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in _FIGURES:
        terminalreporter.write_line(line)
