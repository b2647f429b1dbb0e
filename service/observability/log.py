"""Structured log: JSON lines on stderr, each with its context (request, generation, tenant, trace).

Lines of the gateway bypass the ``logging`` module, which costs a third and is paid by every request. All lines, also
those of libraries, pass through ``redaction`` and are ASCII, so that a newline in a value is escaped.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable, MutableMapping
from contextlib import suppress
from contextvars import Context, ContextVar
from types import TracebackType
from typing import Any, BinaryIO, Final

import structlog
from pydantic_core import to_json

from service.observability.console import ConsoleRenderer, LogFormat, is_console
from service.observability.redaction import Redactor

Serialize = Callable[[MutableMapping[str, Any]], bytes]

#: At INFO these libraries write a line per request, some with URLs that contain callback tokens.
_CHATTY: Final = ("httpx", "httpcore", "celery.app.trace", "celery.worker.strategy", "celery.beat", "aiohttp.access")

#: Created once, since its creation costs as much as a write. A closed file raises ValueError.
_DROP_LINE: Final = suppress(OSError, ValueError)

#: Bytes that a pipe accepts atomically: processes that share a pipe do not write into each other's lines.
_ATOMIC_WRITE: Final = 4096
_context_fields: Final[ContextVar[dict[str, Any]]] = ContextVar("log_context", default={})  # noqa: B039  (never changed in place)


def bind(**fields: Any) -> None:
    """Add fields to the context: all later lines of this task have them."""
    _context_fields.set({**_context_fields.get(), **fields})


def begin(**fields: Any) -> None:
    """Replace the context by these fields."""
    _context_fields.set(fields)


def get_context() -> dict[str, Any]:
    """Return the current context, for a line that is written later. It must not be changed."""
    return _context_fields.get()


def clear() -> None:
    _context_fields.set({})


def configure(
    level: str, *, secrets: Iterable[str] = (), stream: BinaryIO | None = None, log_format: LogFormat = "json"
) -> None:
    """Set the log up, once per process, before the first line. Lines of libraries get the same form.

    ``secrets`` are those of this process (``Settings.secrets``), which appear in no line.
    """
    stream = stream or _stderr()
    sink = _Sink(stream)
    serialize: Serialize = _Serializer(Redactor(secrets))
    if is_console(log_format, stream):
        serialize = ConsoleRenderer(serialize, colors=stream.isatty())
    structlog.configure(
        wrapper_class=_logger_class(level, serialize),
        logger_factory=lambda *_: sink,
        cache_logger_on_first_use=False,  # loggers are created at import, before this call
    )
    _configure_foreign(level, sink, serialize)


def get(name: str) -> Any:
    """Return a logger: ``get(__name__).info("noun_verb", key=value)``. Never a secret, a prompt or an end user id."""
    return structlog.get_logger(module=name)


def fresh_context() -> Context:
    """Return an empty context for a task whose lines do not belong to the task that starts it."""
    return Context()


def catch_uncaught() -> None:
    """Log uncaught exceptions and warnings as lines. Python would print them without redaction."""
    sys.excepthook = _uncaught
    threading.excepthook = lambda hook: _uncaught(hook.exc_type, hook.exc_value, hook.exc_traceback)
    logging.captureWarnings(True)


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    get(__name__).critical("exception_uncaught", exc_info=(kind, error or kind(), trace))


def _logger_class(level: str, serialize: Serialize) -> type[Any]:
    """Return a logger class without structlog's processor chain and lock, which take twice the time of the rest."""

    class Logger(structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level])):  # type: ignore[misc]
        def _proxy_to_logger(self, method_name: str, event: str | None = None, **fields: Any) -> None:
            line = {**_context_fields.get(), **self._context, **fields, "event": event, "level": method_name}
            if "exc_info" in line:
                structlog.processors.format_exc_info(self._logger, method_name, line)
            self._logger.write(serialize(line) + b"\n")

        def info_each(self, event: str, of: Iterable[dict[str, Any]]) -> None:
            """Write a line for each of these fields, without the current context, in few writes."""
            if self.is_enabled_for(logging.INFO):
                begin = {**self._context, "event": event, "level": "info"}
                self._logger.write_each([serialize({**begin, **fields}) + b"\n" for fields in of])

    return Logger


def _stderr() -> BinaryIO:
    """Open stderr with a buffer also under PYTHONUNBUFFERED: it keeps the lines of threads apart."""
    return open((sys.__stderr__ or sys.stderr).fileno(), "wb", closefd=False)


class _Sink:
    """The output. A line that cannot be written is dropped: a full disk or a dead collector must not stop the work."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, text: bytes) -> None:
        with _DROP_LINE:
            self._stream.write(text)
            self._stream.flush()

    def write_each(self, lines: Iterable[bytes]) -> None:
        text = b""
        for line in lines:
            if len(text) + len(line) > _ATOMIC_WRITE:
                self.write(text)
                text = b""
            text += line
        self.write(text)


def _configure_foreign(level: str, sink: "_Sink", serialize: Serialize) -> None:
    handler = _BytesHandler(sink)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
                _without_colors,
                lambda _logger, _method, line: {**_context_fields.get(), **line},
                structlog.processors.add_log_level,
                structlog.processors.format_exc_info,
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                lambda _logger, _method, line: serialize(line).decode(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


def _without_colors(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    line.pop("color_message", None)  # uvicorn's message again, with escape sequences for a terminal
    return line


class _BytesHandler(logging.Handler):
    def __init__(self, sink: "_Sink") -> None:
        super().__init__()
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001  (logging would print the record without redaction)
            get(__name__).error("log_line_not_formattable", logger=record.name, error=type(error).__name__)
        else:
            self._sink.write(line.encode() + b"\n")


class _Serializer:
    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._second = (0, "")

    def __call__(self, event: MutableMapping[str, Any]) -> bytes:
        event["timestamp"] = self._now()
        try:
            line = to_json(event, fallback=repr, ensure_ascii=True, inf_nan_mode="null")
        except ValueError:  # a lone surrogate, bytes, a cycle, a repr that raises
            line = to_json({ascii(name)[1:-1]: _plain(value) for name, value in event.items()}, ensure_ascii=True)
        return self._redactor(line)

    def _now(self) -> str:
        """Return RFC 3339 with microseconds. The part that the lines of a second share is formatted once."""
        second, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        cached, text = self._second
        if second != cached:
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second, text
        return f"{text}.{nanoseconds // 1000:06d}Z"


def _plain(value: Any) -> str:
    try:
        return value.encode("ascii", "backslashreplace").decode() if isinstance(value, str) else ascii(value)
    except Exception as error:  # noqa: BLE001  (logging must not fail)
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"
