"""The page of all settings: variable, default, meaning."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_json

from reference import markdown
from service.config.secret_files import SUFFIX, is_secret
from service.config.settings import PREFIX, Settings

#: Heading, and the beginnings of the names below it. The last heading has all other settings.
_GROUPS: Final = (
    ("Redis and the broker", ("redis_", "broker_")),
    ("fal", ("fal_",)),
    ("Dispatch, polls and deadlines", ("upstream_", "submit_", "unconfirmed_", "queue_", "reconcile_", "poll")),
    ("Access", ("public_url", "secret_key", "admin_", "cors_", "resend_", "reads_")),
    ("Requests, images and prices", ("max_", "upload_", "preflight", "resolutions", "bitrate_", "rates", "account_")),
    ("Limits of new tenants", ("default_",)),
    ("Webhooks", ("webhook_",)),
    ("Stored videos", ("media_",)),
    ("Waiting calls and event streams", ("waiting_", "event_")),
    ("Processes", ()),
)
_INTRODUCTION: Final = """\
# Settings

Gateways, workers and beat read the same environment variables, once, when they start. A time is a number of seconds
(`30`) or an ISO 8601 duration (`PT30S`); a list is JSON (`["480p","720p"]`); an amount of money is US dollars.
`required`: the process does not start without the variable. `unset`: no value is the default. A variable
`GATEWAY_...` that is not on this page has no effect; each process warns of it at its start (`settings_unknown`), and
`doctor` names it.

Secrets can come from files: with `_FILE` after its name, a variable is the path of a file that has the value. White
space around the value is removed. To set both variables is an error. These settings have a file: {files}."""


def page() -> str:
    files = (f"`{PREFIX}{name.upper()}{SUFFIX}`" for name, field in Settings.model_fields.items() if is_secret(field))
    parts = [_INTRODUCTION.format(files=", ".join(files))]
    for heading, names in _grouped():
        rows = [(f"`{PREFIX}{name.upper()}`", _default(field), field.description or "") for name, field in names]
        parts += [f"## {heading}", markdown.table(("Variable", "Default", "Meaning"), rows)]
    return markdown.page(*parts)


def _grouped() -> Iterator[tuple[str, list[tuple[str, FieldInfo]]]]:
    rest = dict(Settings.model_fields)
    for heading, beginnings in _GROUPS:
        names = [name for name in rest if name.startswith(beginnings) or not beginnings]
        yield heading, [(name, rest.pop(name)) for name in names]


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if field.default in (None, ()):
        return "unset" if field.default is None or is_secret(field) else "none"
    return f"`{as_variable(field.default)}`"


def as_variable(value: Any) -> str:
    """Return the text that sets the value in the environment; durations in seconds."""
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
        return str(int(seconds) if seconds.is_integer() else seconds)
    if isinstance(value, tuple) and isinstance(value[0], timedelta):
        return f"[{', '.join(map(as_variable, value))}]"
    return value if isinstance(value, str) else to_json(value).decode()
