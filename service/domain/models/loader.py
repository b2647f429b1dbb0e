"""Files of models: TOML, one table for each model. The form is described in ``seedance-2.0.toml``.

A model can extend another one: it has everything of that model which it does not name itself. Two values stand for
what a model does not have: ``"-"``, and ``"?"`` where it is not known.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import to_json

from service.domain.faults import field_errors
from service.domain.models.model import Kind, Model

ABSENT: Final = "-"
UNKNOWN: Final = "?"
_EXTENDS: Final = "extends"
#: Tables whose members can be absent or unknown, with what an unknown member is called in ``Model.unknown``.
_OPTIONAL: Final = (("fields",), ("price", "rates"), ("price", "per_second"))


class ModelsFileError(ValueError):
    """A file of models cannot be used. Names the file, the model and the field."""

    def __init__(self, file: str, model: str | None, field: str | None, reason: str) -> None:
        place = ", ".join(part for part in (file, model, field) if part)
        super().__init__(f"{place}: {reason}")


@dataclass(frozen=True, slots=True)
class _Source:
    """A table of a model, as a file has it."""

    file: str
    table: Mapping[str, Any]


@cache
def packaged() -> Mapping[str, Model]:
    """Return the models of this release by their ids."""
    return _models(_packaged_sources())


def with_file(text: str, file: str) -> Mapping[str, Model]:
    """Return the models of this release and of a file, which can replace some and extend any.

    Raises ModelsFileError.
    """
    sources = _packaged_sources()
    for model_id, source in _sources(text, file).items():
        # A table that extends its own id changes the model of this release.
        table = dict(source.table)
        if table.get(_EXTENDS) == model_id:
            if model_id not in sources:
                raise ModelsFileError(file, model_id, _EXTENDS, "this release has no such model")
            table = _merged(sources[model_id].table, {key: value for key, value in table.items() if key != _EXTENDS})
        sources[model_id] = _Source(file, table)
    return _models(sources)


def _packaged_sources() -> dict[str, _Source]:
    found: dict[str, _Source] = {}
    for file in sorted(files(__package__).iterdir(), key=lambda each: each.name):
        if file.name.endswith(".toml"):
            found.update(_sources(file.read_bytes().decode(), file.name))
    return found


def _sources(text: str, file: str) -> dict[str, _Source]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ModelsFileError(file, None, None, f"is not TOML: {error}") from None
    family, tables = document.pop("family", None), document.pop("models", {})
    if document:
        raise ModelsFileError(file, None, next(iter(document)), "unknown field")
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise ModelsFileError(file, None, "models", "must be tables, one for each model")
    named = {} if family is None else {"family": family}
    return {model_id: _Source(file, {**named, **table}) for model_id, table in tables.items()}


def _models(sources: Mapping[str, _Source]) -> Mapping[str, Model]:
    found = {model_id: _model(model_id, sources) for model_id in sources}
    names: dict[str, str] = {}
    for model in found.values():
        for name in (model.id, *model.aliases):
            if name in names:
                text = f"{name} names {names[name]} already"
                raise ModelsFileError(sources[model.id].file, model.id, "aliases", text)
            names[name] = model.id
    _check_families(found, names, sources)
    return found


def _check_families(models: Mapping[str, Model], names: Mapping[str, str], sources: Mapping[str, _Source]) -> None:
    """Check that an alias of a family and a kind name one model. Raises ModelsFileError."""
    members: dict[tuple[str, Kind], str] = {}
    for model in models.values():
        for alias in model.family_aliases:
            other = names.get(alias) or members.setdefault((alias, model.kind), model.id)
            if other != model.id or alias in names:
                text = f"{alias} names {other} already"
                raise ModelsFileError(sources[model.id].file, model.id, "family_aliases", text)


def _model(model_id: str, sources: Mapping[str, _Source]) -> Model:
    file = sources[model_id].file
    table = _extended(model_id, sources, ())
    table["id"] = model_id
    unknown = [name for path in _OPTIONAL for name in _removed(table, path)]
    try:
        # JSON, because pydantic's strict mode then takes lists for tuples and strings for decimals.
        return Model.model_validate_json(to_json({**table, "unknown": unknown}))
    except ValidationError as error:
        first = field_errors(error.errors())[0]
        field = first.pointer.removeprefix("/").replace("/", ".") or None
        raise ModelsFileError(file, model_id, field, first.detail) from None


def _extended(model_id: str, sources: Mapping[str, _Source], users: tuple[str, ...]) -> dict[str, Any]:
    """Return the table of a model with everything of the models that it extends."""
    source = sources[model_id]
    table = {key: value for key, value in source.table.items() if key != _EXTENDS}
    base = source.table.get(_EXTENDS)
    if base is None:
        return table
    if base not in sources or base in (model_id, *users):
        reason = "there is no such model" if base not in sources else "the models extend each other"
        raise ModelsFileError(source.file, model_id, _EXTENDS, reason)
    inherited = _extended(base, sources, (*users, model_id))
    for own in ("aliases", "family_aliases", "enabled", "endpoint", "title"):
        inherited.pop(own, None)
    return _merged(inherited, table)


def _merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with the members of ``change``; tables are merged member by member."""
    found = dict(base)
    for key, value in change.items():
        old = found.get(key)
        found[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return found


def _removed(table: dict[str, Any], path: Iterable[str]) -> list[str]:
    """Remove the members of a table that are absent or unknown; return the names of the unknown ones."""
    *parents, last = path
    for name in parents:
        inner = dict(table.get(name, {}))
        table[name] = inner
        table = inner
    members = table.get(last)
    if not isinstance(members, dict):
        return []
    table[last] = {name: _present(value) for name, value in members.items() if value not in (ABSENT, UNKNOWN)}
    return [name for name, value in members.items() if value == UNKNOWN and last != "per_second"]


def _present(value: Any) -> Any:
    """Return a table without its absent members, and any other value as it is."""
    return {key: each for key, each in value.items() if each != ABSENT} if isinstance(value, dict) else value
