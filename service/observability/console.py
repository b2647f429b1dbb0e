"""Log lines for people: one line of text on a terminal for each JSON line, tracebacks below it."""

import json
from collections.abc import Callable, MutableMapping
from typing import Any, BinaryIO, Final, Literal

LogFormat = Literal["auto", "json", "console"]

_COLORS: Final = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "1;31"}
_FIRST: Final = ("timestamp", "level", "event", "exception")


def is_console(log_format: LogFormat, stream: BinaryIO) -> bool:
    """``auto``: text on a terminal, JSON into files and pipes."""
    return log_format == "console" or (log_format == "auto" and stream.isatty())


class ConsoleRenderer:
    """Wraps the JSON serializer, so that a line on a terminal is redacted as any other is."""

    def __init__(self, serialize: Callable[[MutableMapping[str, Any]], bytes], *, colors: bool) -> None:
        self._serialize = serialize
        self._colors = colors

    def __call__(self, event: MutableMapping[str, Any]) -> bytes:
        line: dict[str, Any] = json.loads(self._serialize(event))
        level = str(line.get("level", ""))
        time = str(line.get("timestamp", ""))[11:23]
        fields = " ".join(f"{name}={_value(value)}" for name, value in line.items() if name not in _FIRST)
        head = f"{time} {self._colored(level)} {_printable(str(line.get('event', '')))}"
        trace = "".join(f"\n    {_printable(row)}" for row in str(line.get("exception", "")).splitlines())
        return f"{head}  {fields}{trace}".rstrip().encode()

    def _colored(self, level: str) -> str:
        padded = f"{level:<8}"
        return f"\x1b[{_COLORS.get(level, '0')}m{padded}\x1b[0m" if self._colors else padded


def _value(value: Any) -> str:
    return _printable(value) if isinstance(value, str) and value and " " not in value else json.dumps(value)


def _printable(text: str) -> str:
    """Escape control characters: a value from outside must not move the cursor or begin a line of its own."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
