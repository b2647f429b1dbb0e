"""Tables of the README, made from the code; ``python tests/support/tables.py`` writes them."""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, get_args

from prometheus_client import Counter, Gauge, Histogram
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_json

from service import errors
from service.config.settings import PREFIX, Settings
from service.errors import GatewayError
from service.observability import metrics
from service.observability.metrics import StateGauge

README: Final = Path(__file__).parents[2] / "README.md"


def settings_table() -> str:
    rows = [
        (f"`{PREFIX}{name.upper()}`", _default(field), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    return _table(("Variable", "Default", "Meaning"), rows)


def metrics_table() -> str:
    rows = [
        (f"`{_exposed_name(metric)}`", metric._type, _labels(metric._labelnames), metric._documentation)
        for metric in _metrics(Counter, Gauge, Histogram)
    ]
    rows += [
        (f"`{gauge.name}`", "gauge", _labels([gauge.label] if gauge.label else []), gauge.documentation)
        for gauge in _metrics(StateGauge)
    ]
    return _table(("Metric", "Type", "Labels", "Meaning"), rows)


def refusals_table() -> str:
    rows = [
        (str(error.status), f"`{error.code}`", "yes" if error.retryable else "no", error.title) for error in _refusals()
    ]
    return _table(("Status", "`code`", "Again as it is?", "Meaning"), rows)


#: The name between the markers, and what stands there.
TABLES: Final[dict[str, Callable[[], str]]] = {
    "refusals": refusals_table,
    "settings": settings_table,
    "metrics": metrics_table,
}


def section(text: str, name: str) -> str:
    """What stands between ``<!-- name -->`` and ``<!-- /name -->``."""
    found = _markers(name).search(text)
    if found is None:
        raise LookupError(f"README.md has no <!-- {name} --> ... <!-- /{name} -->")
    return found["content"].strip()


def rewritten(text: str) -> str:
    for name, table in TABLES.items():
        section(text, name)  # raises where there is none
        replacement = f"<!-- {name} -->\n\n{table()}\n\n<!-- /{name} -->"
        text = _markers(name).sub(lambda _, new=replacement: new, text)  # type: ignore[misc]
    return text


def _markers(name: str) -> re.Pattern[str]:
    return re.compile(rf"<!-- {name} -->(?P<content>.*?)<!-- /{name} -->", re.DOTALL)


def _refusals() -> Iterator[type[GatewayError]]:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GatewayError)]
    by_code = {kind.code: kind for kind in kinds}  # a class that only gathers others may lend its code to one of them
    yield from sorted(by_code.values(), key=lambda kind: kind.status)


def _metrics(*kinds: type) -> Iterator[Any]:
    yield from (value for value in vars(metrics).values() if isinstance(value, kinds))


def _exposed_name(metric: Any) -> str:
    """As Prometheus sees it."""
    return f"{metric._name}_total" if isinstance(metric, Counter) else str(metric._name)


def _labels(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if field.default in (None, ()):
        return "unset" if field.default is None or _is_secret(field) else "none"
    return f"`{_as_variable(field.default)}`"


def _is_secret(field: FieldInfo) -> bool:
    return SecretStr in (field.annotation, *get_args(field.annotation))


def _as_variable(value: Any) -> str:
    """As one would write it in the environment; durations in seconds."""
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
        return str(int(seconds) if seconds.is_integer() else seconds)
    if isinstance(value, tuple) and isinstance(value[0], timedelta):
        return f"[{', '.join(map(_as_variable, value))}]"
    return value if isinstance(value, str) else to_json(value).decode()


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    before = README.read_text()
    README.write_text(rewritten(before))
    sys.stdout.write("README.md: " + ("unchanged\n" if README.read_text() == before else "tables written\n"))
