"""Work that a process repeats goes on after any error."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import pytest

from service.errors import StoreUnavailable
from service.observability import log
from service.repeating import repeating

_TURNS = 6
_OUTAGE = StoreUnavailable("Redis is away.", is_outage=True)
_FAULT = ValueError("wrong")


async def repeat(outcomes: Iterable[Exception | None]) -> None:
    """Repeat work that ends with these outcomes, and then once more without an error."""
    left, done = list(outcomes), asyncio.Event()

    async def work() -> None:
        if not left:
            done.set()
            return
        if (outcome := left.pop(0)) is not None:
            raise outcome

    async with repeating(work, name="sums", pause=0), asyncio.timeout(10):
        await done.wait()


@pytest.mark.parametrize(
    ("outcomes", "logged"),
    [
        ([None] * _TURNS, 0),
        ([_OUTAGE] * _TURNS, 0),
        ([_FAULT] * _TURNS, 1),
        ([_FAULT, None, _FAULT], 2),
        ([_FAULT, _OUTAGE, _FAULT], 2),
        ([_OUTAGE, _FAULT, TypeError("another")], 1),
    ],
)
async def test_work_goes_on_after_errors(
    outcomes: list[Exception | None], logged: int, capfd: pytest.CaptureFixture[str]
) -> None:
    log.configure("INFO")
    await repeat(outcomes)

    lines: list[Any] = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [(line["event"], line["work"], line["level"]) for line in lines] == [
        ("background_work_failed", "sums", "error")
    ] * logged
    assert all("ValueError: wrong" in line["exception"] for line in lines)


async def test_work_ends_with_its_context() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async with repeating(work, name="sums", pause=60):
        await asyncio.sleep(0)
    assert ended.is_set()


async def test_error_of_the_context_is_raised() -> None:
    async def work() -> None:
        raise _FAULT

    with pytest.raises(KeyError):
        async with repeating(work, name="sums", pause=60):
            raise KeyError
