"""One log line when a server becomes unavailable, and one when it is available again."""

import io
import json
import logging
from datetime import timedelta
from typing import Any

import pytest

from service.errors import StoreUnavailable
from service.observability import log
from service.observability.outages import OutageLog, log_store_failure
from tests.support.factories import Clock


@pytest.fixture
def lines() -> Any:
    stream = io.BytesIO()
    log.configure("INFO", stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    log.configure("INFO")


def test_outage_logs_begin_and_end_once(lines: Any, clock: Clock) -> None:
    outage = OutageLog("redis", clock=lambda: clock().timestamp())
    outage.succeeded()
    for _ in range(1000):
        outage.failed(ConnectionError())
        clock.advance(timedelta(seconds=0.05))
    for _ in range(10):
        outage.succeeded()

    begin, end = lines()
    assert (begin["event"], begin["error"], begin["level"]) == ("redis_unavailable", "ConnectionError", "warning")
    assert (end["event"], end["seconds"]) == ("redis_available", 50.0)
    assert not outage.is_open


def test_outage_every_other_exchange_failed_logs_few_lines(lines: Any, clock: Clock) -> None:
    outage = OutageLog("redis", clock=lambda: clock().timestamp())
    for _ in range(200):
        outage.failed(TimeoutError())
        outage.succeeded()
        clock.advance(timedelta(seconds=0.1))

    assert len(lines()) == 4, "twice in 20 seconds"


def test_outage_soon_after_another_is_logged_when_it_lasts(lines: Any, clock: Clock) -> None:
    outage = OutageLog("redis", clock=lambda: clock().timestamp())
    outage.failed(TimeoutError())
    outage.succeeded()
    for _ in range(12):
        clock.advance(timedelta(seconds=1))
        outage.failed(ConnectionError())

    assert [line["event"] for line in lines()] == ["redis_unavailable", "redis_available", "redis_unavailable"]


@pytest.mark.parametrize("is_outage", [True, False])
def test_store_failure_is_logged_unless_it_is_an_outage(lines: Any, is_outage: bool) -> None:
    log_store_failure(log.get("test"), StoreUnavailable("x", is_outage=is_outage), operation="claim")

    assert [line["event"] for line in lines()] == ([] if is_outage else ["redis_refused"])


def test_color_message_of_uvicorn_is_not_written(lines: Any) -> None:
    logging.getLogger("uvicorn.error").info("Started", extra={"color_message": "\x1b[36mStarted\x1b[0m"})

    (line,) = lines()
    assert (line["event"], "color_message" in line) == ("Started", False)
