"""Differences between a model and the schema that fal publishes of its endpoint.

A difference breaks requests if fal refuses or ignores what the model accepts. Otherwise fal only offers something else.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, get_args

from service.domain.models.loader import ABSENT, UNKNOWN, packaged
from service.domain.models.model import FieldType, InputField, Model, Output
from service.domain.models.published import PublishedField, PublishedSchema
from service.domain.models.toml import Value, is_name, quote, toml

#: Fields that the gateway itself sends to every endpoint. fal ignores unknown fields.
_GATEWAY_FIELDS: Final = frozenset({"end_user_id"})
#: Fields that decide the price: no model can be without them.
_PRICED: Final = ("resolution", "duration")
#: The types of JSON Schema that fal gives to a field.
_TYPES: Final[Mapping[FieldType, tuple[str, ...]]] = {
    "prompt": ("string",),
    "image": ("string",),
    "images": ("array",),
    "videos": ("array",),
    "audios": ("array",),
    "choice": ("string",),
    "duration": ("string",),
    "boolean": ("boolean",),
    "integer": ("integer",),
    "draft": ("boolean", "string"),
}
#: Types whose limits fal's schema does not have, and that are priced or bounded by them.
_LIMITED: Final = ("duration", "images", "videos", "audios")
#: The type of a field that no model has.
_KINDS: Final[Mapping[str | None, FieldType]] = {"string": "prompt", "boolean": "boolean", "integer": "integer"}


@dataclass(frozen=True, slots=True)
class Difference:
    subject: str
    """What differs: a field or an output, and which part of it."""
    text: str
    breaks: bool
    """Whether fal can refuse or ignore what the gateway accepts."""
    change: tuple[str, ...] = ()
    """Lines for the model's table in a file of models; none: a file cannot express it."""


def differences(model: Model, published: PublishedSchema) -> list[Difference]:
    """Return what differs: the model's fields first, then those that only fal has, then the outputs."""
    found: list[Difference] = []
    for name, field in model.fields.items():
        if _is_of_the_draft(model, name):
            continue
        theirs = published.fields.get(name)
        found += [_removed(name)] if theirs is None else _of_field(name, field, theirs, model.unknown)
    for name, theirs in published.fields.items():
        if name not in model.fields and name not in _GATEWAY_FIELDS:
            found.append(_added(name, theirs, is_unknown=name in model.unknown))
    found += [_absent(name) for name in model.unknown if name not in published.fields and _is_field(name, model)]
    return [*found, *_of_outputs(model, published)]


def _is_of_the_draft(model: Model, name: str) -> bool:
    """Return whether the field is not sent: the duration of a completion is the draft's, it has a price only."""
    return model.kind == "completion" and name == "duration"


def _is_field(name: str, model: Model) -> bool:
    """Return whether the unknown name is a field: the others are resolutions without a rate."""
    return name not in model.fields["resolution"].values


# --- fields that one side does not have -------------------------------------------------------------------------------


def _without(name: str) -> tuple[str, ...]:
    return () if name in _PRICED else (f"fields.{name} = {toml(ABSENT)}",)


def _removed(name: str) -> Difference:
    text = "fal's schema does not have this field, so fal ignores it"
    return Difference(name, text, breaks=True, change=_without(name))


def _absent(name: str) -> Difference:
    text = f"the model has {toml(UNKNOWN)}, and fal's schema does not have this field"
    return Difference(name, text, breaks=False, change=_without(name))


def _added(name: str, theirs: PublishedField, *, is_unknown: bool) -> Difference:
    table = _table(name, theirs)
    change = () if table is None else (f"fields.{name} = {toml(table)}",)
    if theirs.required:
        text = "fal requires this field, and the model does not have it"
    elif is_unknown:
        text = f"the model has {toml(UNKNOWN)}, and fal's schema has this field"
    else:
        text = "only fal has this field, so callers cannot give it"
    return Difference(quote(name), text, breaks=theirs.required, change=change)


def _table(name: str, theirs: PublishedField) -> dict[str, Value] | None:
    """Return the field as a file of models has it; None: a file cannot express it."""
    kind = _kinds_by_name().get(name) or ("choice" if theirs.values is not None else _KINDS.get(theirs.type))
    if kind is None or not is_name(name) or kind in _LIMITED or theirs.type not in (None, *_TYPES[kind]):
        return None
    table: dict[str, Value] = {"type": kind}
    if kind == "choice":
        if not theirs.values:
            return None
        table["values"] = theirs.values
    if theirs.required:
        return table | {"required": True}
    has_default = {
        "choice": theirs.default in (theirs.values or ()),
        "boolean": isinstance(theirs.default, bool),
        "integer": type(theirs.default) is int,
    }
    return table | ({"default": theirs.default} if theirs.default is not None and has_default.get(kind) else {})


@cache
def _kinds_by_name() -> Mapping[str, FieldType]:
    """Return the types of the fields that models of this release have: only they tell a draft from other booleans."""
    return {name: field.type for model in packaged().values() for name, field in model.fields.items()}


# --- fields that both sides have --------------------------------------------------------------------------------------


def _of_field(name: str, ours: InputField, theirs: PublishedField, unknown: Sequence[str]) -> Iterator[Difference]:
    if theirs.type is not None and theirs.type not in _TYPES[ours.type]:
        text = f"fal's type is {quote(theirs.type)}, the model's is {ours.type}"
        yield Difference(f"{name} type", text, breaks=True, change=() if theirs.required else _without(name))
        return
    yield from _of_values(name, ours, theirs, unknown)
    yield from _of_requirement(name, ours, theirs)
    yield from _of_default(name, ours, theirs)
    yield from _of_bounds(name, ours, theirs)


def _of_values(name: str, ours: InputField, theirs: PublishedField, unknown: Sequence[str]) -> Iterator[Difference]:
    subject = f"{name}s" if name in _PRICED else f"{name} values"
    if not ours.choices:
        return
    if theirs.values is None:
        yield Difference(subject, "fal's schema names no values, so they are not compared", breaks=False)
        return
    if refused := [value for value in ours.choices if value not in theirs.values and value not in unknown]:
        text = f"fal does not accept {toml(refused)}"
        yield Difference(f"{subject} that fal refuses", text, breaks=True, change=_values(name, ours, theirs))
    if unpriced := [value for value in theirs.values if value in ours.choices and value in unknown]:
        text = f"fal accepts {toml(unpriced)}, and the model's rate is {toml(UNKNOWN)}"
        yield Difference(f"{subject} without a price", text, breaks=False)
    if added := [value for value in theirs.values if value not in ours.choices]:
        rates = [f"price.rates.{toml(value)} = {toml(UNKNOWN)}" for value in added if name == "resolution"]
        text = f"only fal accepts {toml(added)}"
        change = (*_values(name, ours, theirs), *rates)
        yield Difference(f"{subject} that only fal has", text, breaks=False, change=change)


def _values(name: str, ours: InputField, theirs: PublishedField) -> tuple[str, ...]:
    """Return the change that gives the field fal's values."""
    values = theirs.values or ()
    table: dict[str, Value] = {"values": values}
    if ours.type == "duration":
        numbers = sorted(int(value) for value in values if value.isascii() and value.isdigit() and len(value) <= 3)
        if not numbers or {*map(str, range(numbers[0], numbers[-1] + 1))} != {*values} - {"auto"}:
            return ()  # a duration has all seconds between the shortest and the longest
        table = {"seconds": (numbers[0], numbers[-1]), "auto": "auto" in values}
    if ours.default is not None and ours.default not in values:
        has_default = theirs.default in values
        table |= {"default": theirs.default} if has_default else {"default": ABSENT, "required": True}
    return tuple(f"fields.{name}.{key} = {toml(value)}" for key, value in table.items())


def _of_requirement(name: str, ours: InputField, theirs: PublishedField) -> Iterator[Difference]:
    subject = f"{name} required"
    if theirs.required and not ours.required:
        text, breaks = "fal requires it, the model does not", ours.default is None
        if not breaks:
            text += f": the gateway sends {toml(ours.default)} if a caller does not give it"
        change = (f"fields.{name}.required = true", *([] if breaks else [f"fields.{name}.default = {toml(ABSENT)}"]))
        yield Difference(subject, text, breaks=breaks, change=change)
    elif ours.required and not theirs.required:
        table: dict[str, Value] = {"required": False}
        if theirs.default is not None and theirs.default in ours.choices:
            table["default"] = theirs.default
        is_expressible = name not in _PRICED or "default" in table
        change = tuple(f"fields.{name}.{key} = {toml(value)}" for key, value in table.items() if is_expressible)
        yield Difference(subject, "the model requires it, fal does not", breaks=False, change=change)


def _of_default(name: str, ours: InputField, theirs: PublishedField) -> Iterator[Difference]:
    """Compare the default that the gateway sends. A model without a default leaves the field out: fal's applies."""
    if ours.default is None or ours.default == theirs.default or theirs.required:
        return
    sent = f"the gateway sends {toml(ours.default)} if a caller does not give it"
    if theirs.default is None:
        change = () if name in _PRICED else (f"fields.{name}.default = {toml(ABSENT)}",)
        yield Difference(f"{name} default", f"fal's schema names none; {sent}", breaks=False, change=change)
        return
    is_expressible = theirs.default in ours.choices if ours.choices else type(theirs.default) is type(ours.default)
    change = (f"fields.{name}.default = {toml(theirs.default)}",) if is_expressible else ()
    yield Difference(f"{name} default", f"fal's is {toml(theirs.default)}; {sent}", breaks=False, change=change)


def _of_bounds(name: str, ours: InputField, theirs: PublishedField) -> Iterator[Difference]:
    """Compare the bounds that both sides name."""
    count = None if ours.files is None else ours.files.count
    for part, own, other in (
        ("least", ours.least, theirs.least),
        ("most", ours.most, theirs.most),
        ("files.count", count, theirs.most_items),
    ):
        if own is not None and other is not None and own != other:
            breaks = other > own if part == "least" else other < own
            text = f"fal's is {other}, the model's is {own}"
            change = (f"fields.{name}.{part} = {other}",)
            yield Difference(f"{name} {part}", text, breaks=breaks, change=change)


# --- outputs ----------------------------------------------------------------------------------------------------------


def _of_outputs(model: Model, published: PublishedSchema) -> Iterator[Difference]:
    if published.outputs is None:
        return
    change = (f"output = {toml([name for name in get_args(Output) if name in published.outputs])}",)
    for name in get_args(Output):
        is_ours, is_theirs = name in model.output, name in published.outputs
        if is_ours != is_theirs:
            text = "only fal's schema has this output" if is_theirs else "fal's schema does not have this output"
            breaks = name == "video" and not is_theirs
            yield Difference(f"output {name}", text, breaks=breaks, change=change)
