"""JSON lines on stderr, each with the context it was written in (request, generation, tenant, trace).

Our own lines take structlog's short way past the ``logging`` module: a third of the cost, on a path every call pays.
Whoever wrote a line, it goes through ``redaction`` last, and is ASCII: a newline in it is two letters.
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

#: At INFO these write a line per call, some with URLs that carry callback tokens.
_CHATTY: Final = ("httpx", "httpcore", "celery.app.trace", "celery.worker.strategy", "celery.beat", "aiohttp.access")

#: Made once: it costs as much as the write. The latter is what a closed file raises.
_LOST: Final = suppress(OSError, ValueError)

#: A pipe takes so much in one piece: processes that share one do not write into each other's lines.
_AT_ONCE: Final = 4096
_about: Final[ContextVar[dict[str, Any]]] = ContextVar("about", default={})  # noqa: B039  (never changed in place)


def bind(**fields: Any) -> None:
    """``bind(tenant=...)``: in every line of this task from here on, whoever writes it."""
    _about.set({**_about.get(), **fields})


def begin(**fields: Any) -> None:
    """The same, with nothing that was bound before."""
    _about.set(fields)


def get_context() -> dict[str, Any]:
    """What is bound here, for a line that is written elsewhere; not to be changed."""
    return _about.get()


def clear() -> None:
    _about.set({})


def configure(
    level: str, *, secrets: Iterable[str] = (), stream: BinaryIO | None = None, log_format: LogFormat = "json"
) -> None:
    """Once per process, before anything is logged. Foreign libraries' lines come out in the same form.

    ``secrets`` are the process's own (``Settings.secrets``): they appear in no line, whoever writes it.
    """
    stream = stream or _stderr()
    sink = _Sink(stream)
    serialize: Serialize = _Serializer(Redactor(secrets))
    if is_console(log_format, stream):
        serialize = ConsoleRenderer(serialize, colors=stream.isatty())
    structlog.configure(
        wrapper_class=_logger_class(level, serialize),
        logger_factory=lambda *_: sink,
        cache_logger_on_first_use=False,  # loggers are made at import, before this is called
    )
    _configure_foreign(level, sink, serialize)


def get(name: str) -> Any:
    """A logger: ``get(__name__).info("what happened", key=value)``. Never a secret, a prompt or an end user's id."""
    return structlog.get_logger(module=name)


def fresh_context() -> Context:
    """For a task that has nothing to do with the one that starts it: its lines are not about the same thing."""
    return Context()


def catch_uncaught() -> None:
    """What ends a process or a thread is a line like any other; Python would print it as it is."""
    sys.excepthook = _uncaught
    threading.excepthook = lambda hook: _uncaught(hook.exc_type, hook.exc_value, hook.exc_traceback)
    logging.captureWarnings(True)


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    get(__name__).critical("uncaught", exc_info=(kind, error or kind(), trace))


def _logger_class(level: str, serialize: Serialize) -> type[Any]:
    """In place of structlog's own, whose chain of processors and lock take twice the time of what is left here."""

    class Logger(structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level])):  # type: ignore[misc]
        def _proxy_to_logger(self, method_name: str, event: str | None = None, **fields: Any) -> None:
            line = {**_about.get(), **self._context, **fields, "event": event, "level": method_name}
            if "exc_info" in line:
                structlog.processors.format_exc_info(self._logger, method_name, line)
            self._logger.write(serialize(line) + b"\n")

        def info_each(self, event: str, of: Iterable[dict[str, Any]]) -> None:
            """A line for each of these fields, without what is bound here, in as few writes as may be."""
            if self.is_enabled_for(logging.INFO):
                begin = {**self._context, "event": event, "level": "info"}
                self._logger.write_each([serialize({**begin, **fields}) + b"\n" for fields in of])

    return Logger


def _stderr() -> BinaryIO:
    """With a buffer also where Python was told to do without (PYTHONUNBUFFERED): it keeps threads' lines apart."""
    return open((sys.__stderr__ or sys.stderr).fileno(), "wb", closefd=False)


class _Sink:
    """Where lines end. One that cannot be written is lost: a full disk or a dead collector must not end the work."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, text: bytes) -> None:
        with _LOST:
            self._stream.write(text)
            self._stream.flush()

    def write_each(self, lines: Iterable[bytes]) -> None:
        text = b""
        for line in lines:
            if len(text) + len(line) > _AT_ONCE:
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
                lambda _logger, _method, line: {**_about.get(), **line},
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


class _BytesHandler(logging.Handler):
    def __init__(self, sink: "_Sink") -> None:
        super().__init__()
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001  (the usual answer prints the record as it is)
            get(__name__).error("a line could not be formatted", logger=record.name, error=type(error).__name__)
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
        except ValueError:  # half a surrogate, bytes, a circle, a repr that raises
            line = to_json({ascii(name)[1:-1]: _plain(value) for name, value in event.items()}, ensure_ascii=True)
        return self._redactor(line)

    def _now(self) -> str:
        """RFC 3339, in microseconds; what one second's lines have in common is made once."""
        second, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        known, text = self._second
        if second != known:
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second, text
        return f"{text}.{nanoseconds // 1000:06d}Z"


def _plain(value: Any) -> str:
    try:
        return value.encode("ascii", "backslashreplace").decode() if isinstance(value, str) else ascii(value)
    except Exception as error:  # noqa: BLE001  (a log line is no place to fail)
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"
