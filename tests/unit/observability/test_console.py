"""Log lines on a terminal."""

import io
import json
from collections.abc import Iterator

import pytest

from service.observability import log
from service.observability.console import is_console


class Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    log.configure("INFO")


def written(stream: io.BytesIO) -> list[str]:
    return stream.getvalue().decode().splitlines()


@pytest.mark.parametrize(
    ("log_format", "terminal", "console"),
    [
        ("auto", True, True),
        ("auto", False, False),
        ("json", True, False),
        ("console", False, True),
    ],
)
def test_log_format_is_chosen_by_the_stream(log_format: str, terminal: bool, console: bool) -> None:
    assert is_console(log_format, Terminal() if terminal else io.BytesIO()) is console  # type: ignore[arg-type]


def test_console_line_shows_time_level_event_and_fields() -> None:
    stream = io.BytesIO()
    log.configure("INFO", stream=stream, log_format="console")
    log.get("here").info("request", status=202, path="/v1/generations", text="two words")
    (line,) = written(stream)
    time, _, rest = line.partition(" ")
    assert len(time) == len("12:34:56.789")
    assert rest == 'info     request  module=here status=202 path=/v1/generations text="two words"'


def test_console_line_is_colored_on_a_terminal_only() -> None:
    stream = Terminal()
    log.configure("INFO", stream=stream, log_format="auto")
    log.get("here").error("broken")
    assert "\x1b[31merror   \x1b[0m broken" in written(stream)[0]


def test_console_line_redacts_secrets() -> None:
    stream = io.BytesIO()
    log.configure("INFO", secrets=["a-very-long-secret"], stream=stream, log_format="console")
    log.get("here").info("request", url="https://example.com/?key=a-very-long-secret")
    assert "a-very-long-secret" not in stream.getvalue().decode()


def test_console_line_escapes_control_characters() -> None:
    stream = io.BytesIO()
    log.configure("INFO", stream=stream, log_format="console")
    log.get("here").info("request", path="/a\x1b[2J\nforged")
    (line,) = written(stream)
    assert "\x1b" not in line


def test_console_traceback_follows_its_line() -> None:
    stream = io.BytesIO()
    log.configure("INFO", stream=stream, log_format="console")
    try:
        int("no")
    except ValueError:
        log.get("here").exception("broken")
    first, *trace = written(stream)
    assert "broken" in first
    assert trace[-1].startswith("    ValueError: invalid literal")


def test_json_stays_the_form_in_a_file() -> None:
    stream = io.BytesIO()
    log.configure("INFO", stream=stream, log_format="auto")
    log.get("here").info("request", status=202)
    assert json.loads(written(stream)[0])["status"] == 202
