"""Endpoints from files of models of the gateway: models that this release does not have, and changes of its own.

Such an endpoint checks what its file says. Those in `endpoints.py` are written independently of the gateway's files.
"""

import tomllib
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from sandbox import rules
from sandbox.endpoints import ENDPOINTS, Endpoint, Price
from sandbox.schema import InputField, Rule, choice, files, optional, schema, seconds

#: Not among the fields of an endpoint, or not known to be.
ABSENT = ("-", "?")
RULES: dict[str, Rule] = {
    "audio_needs_image_or_video": rules.audio_needs_image_or_video,
    "editing_forces_auto": rules.editing_forces_auto,
    "extension_forces_auto_aspect": rules.extension_forces_auto_aspect,
}
Table = dict[str, Any]


def read(paths: Iterable[Path]) -> dict[str, Endpoint]:
    """Return the endpoints of TOML files, and of all TOML files of folders."""
    found = [file for path in paths for file in (sorted(path.glob("*.toml")) if path.is_dir() else [path])]
    tables: Table = {}
    for file in found:
        tables |= tomllib.loads(file.read_text("utf-8")).get("models", {})
    needed = {name: table for name, table in tables.items() if _is_needed(name, table)}
    return {table.get("endpoint", name): _endpoint(name, tables) for name, table in needed.items()}


def _is_needed(name: str, table: Table) -> bool:
    return name not in ENDPOINTS or table.get("extends") == name


def _endpoint(name: str, tables: Table) -> Endpoint:
    table, base = tables[name], _base(name, tables)
    fields = (
        {}
        if base is None
        else {key: (info.annotation, _default(info)) for key, info in base.schema.model_fields.items()}
    )
    for key, change in table.get("fields", {}).items():
        if change in ABSENT:
            fields.pop(key, None)
        else:
            fields[key] = _field(change, fields.get(key))
    price = _price(table.get("price", {}), base)
    values = [value for value in get_args(fields["resolution"][0]) if value in price.rates]
    default = fields["resolution"][1]
    fields["resolution"] = choice(*values, default=default if default in values else ...)
    made = Endpoint(schema("Input", fields), price, _rules(table, base))
    return replace(made, longest_input=base.longest_input) if base else made


def _base(name: str, tables: Table) -> Endpoint | None:
    base = tables[name].get("extends")
    if base is None:
        return None
    return ENDPOINTS[base] if base in ENDPOINTS else _endpoint(base, tables)


def _default(info: Any) -> Any:
    return ... if info.is_required() else info.default


def _field(change: Table, old: InputField | None) -> InputField:
    """Return a field, with what the table does not name taken from the one that it replaces."""
    default = _new_default(change, old)
    match change.get("type") or _type(old):
        case "choice":
            values = change.get("values") or get_args(old[0] if old else None)
            return choice(*values, default=values[0] if default is None else default)
        case "duration":
            return _duration(change, old, default)
        case "boolean" | "draft" if default is not ...:
            return bool, bool(default)
        case "integer":
            return optional(int)
        case "images" | "videos" | "audios":
            return files(change["files"]["count"])
    return (str, ...) if default is ... else optional(str)


def _new_default(change: Table, old: InputField | None) -> Any:
    """Return the default of a field: `...` if the field is required, None if it has none."""
    if change.get("required"):
        return ...
    kept = None if old is None or (old[1] is ... and "required" in change) else old[1]
    default = change.get("default", kept)
    return None if default in ABSENT else default


def _type(old: InputField | None) -> str:
    origin: Any = None if old is None else get_origin(old[0])
    values = get_args(old[0]) if old is not None and origin is Literal else ()
    if not values:
        return "boolean" if old is not None and old[0] is bool else "text"
    return "duration" if all(value == "auto" or value.isdigit() for value in values) else "choice"


def _duration(change: Table, old: InputField | None, default: Any) -> InputField:
    values = get_args(old[0]) if old else ()
    numbers = [int(value) for value in values if value != "auto"]
    first, last = change.get("seconds") or (min(numbers), max(numbers))
    auto = change.get("auto", "auto" in values)
    return seconds(first, last, auto=auto, default=... if default == "auto" else default)


def _price(change: Table, base: Endpoint | None) -> Price:
    old = base.price if base else Price({})
    rates: Table = {
        **old.rates,
        **{name: Decimal(rate) for name, rate in change.get("rates", {}).items() if rate not in ABSENT},
    }
    gone = {name for name, rate in change.get("rates", {}).items() if rate in ABSENT}
    factors = {name: Decimal(change[name]) for name in ("silent_factor", "video_input_factor") if name in change}
    kept = {name: rate for name, rate in rates.items() if name not in gone}
    return replace(old, rates=kept, unit_tokens=change.get("unit_tokens", old.unit_tokens), **factors)


def _rules(table: Table, base: Endpoint | None) -> tuple[Rule, ...]:
    if "rules" not in table and "files" not in table:
        return base.rules if base else ()
    most = (rules.at_most_files(table["files"]),) if "files" in table else ()
    return (*most, *(RULES[name] for name in table.get("rules", ())))
