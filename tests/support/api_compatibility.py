"""What a client of the released API document would notice in a newer one: removed, narrowed, or newly required.

A request is compatible if the newer document accepts all that the older one accepts. A response, and an event that the
gateway sends, is compatible if the older document accepts all that the newer one describes; clients ignore new fields.
Run as a program, it takes the present document as the released one: ``make release-api``.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

RELEASED: Final = Path(__file__).parents[2] / "openapi/released.json"
_METHODS: Final = ("get", "put", "post", "delete", "options", "patch")
#: Texts do not change what is accepted.
_TEXTS: Final = frozenset({"description", "summary", "example", "examples", "tags", "servers", "x-extensible-enum"})
_LOWEST: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_HIGHEST: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_SAME: Final = ("pattern", "format", "multipleOf")
#: The reference that led to a schema.
_NAME: Final = "x-name"

Schema = dict[str, Any]


def incompatible_changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Return one line for each change that can break a client of the old document."""
    return list(_changes(Document(old), Document(new)))


def without_texts(node: Any, *, names: bool = False) -> Any:
    """Return a document without its texts. ``names``: the keys of this object are names of fields."""
    if isinstance(node, dict):
        return {
            key: without_texts(value, names=key in ("properties", "paths", "schemas") and not names)
            for key, value in node.items()
            if names or key not in _TEXTS
        }
    return [without_texts(each) for each in node] if isinstance(node, list) else node


@dataclass(frozen=True)
class Document:
    """A document whose references can be resolved."""

    content: dict[str, Any]

    def resolved(self, node: Schema) -> Schema:
        while "$ref" in node:
            found: Any = self.content
            for step in node["$ref"].removeprefix("#/").split("/"):
                found = found[step.replace("~1", "/")]
            node = {**found, **{key: value for key, value in node.items() if key != "$ref"}, _NAME: node["$ref"]}
        return node

    def operations(self, section: str) -> dict[str, Schema]:
        return {
            f"{method.upper()} {path}": item[method]
            for path, item in self.content.get(section, {}).items()
            for method in _METHODS
            if method in item
        }

    def alternatives(self, node: Schema) -> list[Schema]:
        """Return the schemas of which one applies, without references, ``allOf`` and ``anyOf``."""
        node = self.resolved(node)
        for part in node.get("allOf", ()):
            node = _merged(node, self.resolved(part))
        unions = [*node.get("anyOf", ()), *node.get("oneOf", ())]
        rest = {key: value for key, value in node.items() if key not in ("allOf", "anyOf", "oneOf")}
        if unions:
            return [_merged(rest, each) for union in unions for each in self.alternatives(union)]
        kinds = rest.get("type")
        return [{**rest, "type": kind} for kind in kinds] if isinstance(kinds, list) else [rest]


def _merged(one: Schema, other: Schema) -> Schema:
    required = sorted({*one.get("required", ()), *other.get("required", ())})
    both = {**one, **other, "properties": {**one.get("properties", {}), **other.get("properties", {})}}
    return {key: value for key, value in {**both, "required": required}.items() if value not in ({}, [])}


@dataclass
class Narrowing:
    """Finds what ``narrow`` refuses although ``wide`` allows it."""

    wide: Document
    narrow: Document
    reader_ignores_unknown: bool
    """Whether ``narrow`` is the reader of a response: fields that only ``wide`` has do not disturb it."""
    _open: set[tuple[str, str]] = field(default_factory=set)

    def of(self, wide: Schema, narrow: Schema, path: str) -> Iterator[str]:
        choices = self.narrow.alternatives(narrow)
        for each in self.wide.alternatives(wide):
            found = [list(self._named(each, choice, path)) for choice in choices]
            yield from min(found, key=lambda faults: (len(faults), faults))

    def _named(self, wide: Schema, narrow: Schema, path: str) -> Iterator[str]:
        """Compare two schemas unless this is under way: a schema may refer to itself."""
        pair = (wide.get(_NAME, path), narrow.get(_NAME, path))
        if pair not in self._open:
            self._open.add(pair)
            yield from self._flat(wide, narrow, path)
            self._open.remove(pair)

    def _flat(self, wide: Schema, narrow: Schema, path: str) -> Iterator[str]:
        if not set(narrow) - _TEXTS - {"default", _NAME}:
            return
        kinds = wide.get("type"), narrow.get("type")
        if kinds[1] is not None and kinds[0] != kinds[1] and kinds != ("integer", "number"):
            yield self._line(path, "type", wide.get("type", "any"), narrow["type"])
            return
        values, accepted = (_values(schema) for schema in (wide, narrow))
        if accepted is not None:
            refused = ["any other"] if values is None else sorted(str(each) for each in values - accepted)
            yield from (f"{path}: value {each} {self._verb('added', 'removed')}" for each in refused)
        yield from self._limits(wide, narrow, path)
        if "items" in narrow:
            yield from self.of(wide.get("items", {}), narrow["items"], f"{path}[]")
        if wide.get("type") == "object" or "properties" in wide:
            yield from self._fields(wide, narrow, path)

    def _limits(self, wide: Schema, narrow: Schema, path: str) -> Iterator[str]:
        for key in (*_LOWEST, *_HIGHEST, *_SAME):
            theirs, ours = wide.get(key), narrow.get(key)
            if ours is None or ours == theirs:
                continue
            within = theirs is not None and (
                (key in _LOWEST and theirs >= ours) or (key in _HIGHEST and theirs <= ours)
            )
            if not within:
                yield self._line(path, key, theirs, ours)

    def _fields(self, wide: Schema, narrow: Schema, path: str) -> Iterator[str]:
        theirs, ours = wide.get("properties", {}), narrow.get("properties", {})
        old, new = (ours, theirs) if self.reader_ignores_unknown else (theirs, ours)
        yield from (f"{path}/{name}: removed" for name in old if name not in new)
        for name in narrow.get("required", ()):
            if name not in wide.get("required", ()) and not (self.reader_ignores_unknown and name not in theirs):
                yield f"{path}/{name}: {self._verb('no longer always present', 'required')}"
        for name in theirs.keys() & ours.keys():
            yield from self.of(theirs[name], ours[name], f"{path}/{name}")
            if not self.reader_ignores_unknown and theirs[name].get("default") != ours[name].get("default"):
                yield self._line(f"{path}/{name}", "default", theirs[name].get("default"), ours[name].get("default"))
        others, accepted = wide.get("additionalProperties", True), narrow.get("additionalProperties", True)
        if isinstance(others, dict) and isinstance(accepted, dict):
            yield from self.of(others, accepted, f"{path}/*")
        elif not self.reader_ignores_unknown and others is not False and accepted is not True:
            yield f"{path}: unknown fields are refused"

    def _verb(self, response: str, request: str) -> str:
        return response if self.reader_ignores_unknown else request

    def _line(self, path: str, what: str, wide: Any, narrow: Any) -> str:
        old, new = (narrow, wide) if self.reader_ignores_unknown else (wide, narrow)
        return f"{path}: {what} {old} -> {new}"


def _values(schema: Schema) -> set[Any] | None:
    if "const" in schema:
        return {schema["const"]}
    return set(schema["enum"]) if "enum" in schema else None


def _changes(old: Document, new: Document) -> Iterator[str]:
    for section in ("paths", "webhooks"):
        sent = section == "webhooks"
        before, after = old.operations(section), new.operations(section)
        for name, operation in before.items():
            label = f"event {name.removeprefix('POST ')}" if sent else name
            if name not in after:
                yield f"{label}: removed"
                continue
            yield from _identity(operation, after[name], label)
            yield from _bodies(old, new, operation, after[name], label, sent=sent)
            if not sent:
                yield from _parameters(old, new, operation, after[name], label)
                yield from _responses(old, new, operation, after[name], label)


def _identity(old: Schema, new: Schema, label: str) -> Iterator[str]:
    if old["operationId"] != new["operationId"]:
        yield f"{label}: operation id {old['operationId']} -> {new['operationId']}"
    allowed = new.get("security", [])
    if allowed and any(way not in allowed for way in old.get("security", []) or [{}]):
        yield f"{label}: other credentials"


def _bodies(old: Document, new: Document, before: Schema, after: Schema, label: str, *, sent: bool) -> Iterator[str]:
    theirs, ours = (doc.resolved(each.get("requestBody", {})) for doc, each in ((old, before), (new, after)))
    if ours.get("required") and not theirs.get("required"):
        yield f"{label} body: required"
    yield from _contents(old, new, theirs, ours, f"{label} body", response=sent)


def _parameters(old: Document, new: Document, before: Schema, after: Schema, label: str) -> Iterator[str]:
    theirs, ours = (
        {(p["in"], p["name"].lower()): p for p in map(doc.resolved, each.get("parameters", ()))}
        for doc, each in ((old, before), (new, after))
    )
    requests = Narrowing(old, new, reader_ignores_unknown=False)
    for key, parameter in ours.items():
        path = f"{label} {key[0]} {parameter['name']}"
        if parameter.get("required") and not theirs.get(key, {}).get("required"):
            yield f"{path}: required"
        if key in theirs:
            yield from requests.of(theirs[key]["schema"], parameter["schema"], path)
    yield from (
        f"{label} {where} {theirs[where, name]['name']}: removed" for where, name in theirs.keys() - ours.keys()
    )


def _responses(old: Document, new: Document, before: Schema, after: Schema, label: str) -> Iterator[str]:
    for status, response in before["responses"].items():
        if status not in after["responses"]:
            yield f"{label} {status}: removed"
            continue
        theirs, ours = old.resolved(response), new.resolved(after["responses"][status])
        gone = theirs.get("headers", {}).keys() - ours.get("headers", {}).keys()
        yield from (f"{label} {status} header {name}: removed" for name in sorted(gone))
        yield from _contents(old, new, theirs, ours, f"{label} {status}", response=True)


def _contents(
    old: Document, new: Document, before: Schema, after: Schema, path: str, *, response: bool
) -> Iterator[str]:
    for media, content in before.get("content", {}).items():
        if media not in after.get("content", {}):
            yield f"{path} {media}: removed"
            continue
        theirs, ours = content["schema"], after["content"][media]["schema"]
        if response:
            yield from Narrowing(new, old, reader_ignores_unknown=True).of(ours, theirs, path)
        else:
            yield from Narrowing(old, new, reader_ignores_unknown=False).of(theirs, ours, path)


if __name__ == "__main__":
    from service.api.openapi.export import document

    RELEASED.write_text(json.dumps(without_texts(document()), indent=1, sort_keys=True, ensure_ascii=False) + "\n")
