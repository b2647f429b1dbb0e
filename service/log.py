"""JSON lines on stderr, each with the context it was written in (request, generation, tenant, trace).

Our own lines take structlog's short way past the ``logging`` module: a third of the cost, on a path every call pays.
Whoever wrote a line, it goes through ``redaction`` last, and is ASCII: a newline in it is two letters.
"""

import logging
import sys
import threading
from collections.abc import Iterable
from contextvars import Context
from types import TracebackType
from typing import Any, BinaryIO, Final

import structlog
from pydantic_core import to_json

from service.redaction import Redactor

#: At INFO these write a line per call, some with URLs that carry callback tokens.
_CHATTY: Final = ("httpx", "httpcore", "celery.app.trace", "celery.worker.strategy", "celery.beat", "aiohttp.access")

bind = structlog.contextvars.bind_contextvars
"""``bind(tenant=...)``: in every line of this task from here on, whoever writes it."""
clear = structlog.contextvars.clear_contextvars


def configure(level: str, *, secrets: Iterable[str] = (), stream: BinaryIO | None = None) -> None:
    """Once per process, before anything is logged. Foreign libraries' lines come out in the same form.

    ``secrets`` are the process's own (``Settings.secrets``): they appear in no line, whoever writes it.
    """
    sink, serialize = stream or (sys.__stderr__ or sys.stderr).buffer, _Serializer(Redactor(secrets))
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=serialize)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.BytesLoggerFactory(sink),
        cache_logger_on_first_use=False,  # loggers are made at import, before this is called
    )
    _configure_foreign(level, sink, shared, serialize)


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


def _configure_foreign(level: str, sink: BinaryIO, shared: list[Any], serialize: "_Serializer") -> None:
    handler = _BytesHandler(sink)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=lambda event, **_: serialize(event).decode()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


class _BytesHandler(logging.Handler):
    def __init__(self, sink: BinaryIO) -> None:
        super().__init__()
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001  (the usual answer prints the record as it is)
            get(__name__).error("a line could not be formatted", logger=record.name, error=type(error).__name__)
        else:
            self._sink.write(line.encode() + b"\n")
            self._sink.flush()


class _Serializer:
    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def __call__(self, event: dict[str, Any], **_: Any) -> bytes:
        harmless = self._redactor.is_harmless(event)
        try:
            line = to_json(event, fallback=repr, ensure_ascii=True, inf_nan_mode="null")
        except ValueError:  # half a surrogate, bytes, a circle, a repr that raises
            line = to_json({ascii(name)[1:-1]: _plain(value) for name, value in event.items()}, ensure_ascii=True)
        return line if harmless else self._redactor(line)


def _plain(value: Any) -> str:
    try:
        return value.encode("ascii", "backslashreplace").decode() if isinstance(value, str) else ascii(value)
    except Exception as error:  # noqa: BLE001  (a log line is no place to fail)
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"
