"""Changes of an API document that break its clients, and changes that do not."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any, Final

import pytest

from tests.support.api_compatibility import incompatible_changes, without_texts

NOTE: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["text"],
    "properties": {
        "text": {"type": "string", "minLength": 1, "maxLength": 100},
        "color": {"$ref": "#/components/schemas/Color", "default": "red"},
        "size": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 9}, {"type": "null"}]},
        "tags": {"type": "array", "items": {"type": "string", "pattern": "^[a-z]+$"}, "maxItems": 5},
        "parent": {"anyOf": [{"$ref": "#/components/schemas/Note"}, {"type": "null"}]},
        "pairs": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 10}},
    },
}
VIEW: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["id", "state", "made_at"],
    "properties": {
        "id": {"type": "string"},
        "state": {"type": "string", "enum": ["open", "done"]},
        "made_at": {"type": "string", "format": "date-time"},
        "code": {"type": "string", "x-extensible-enum": ["one"]},
        "cost": {"type": "number"},
    },
}
OLD: Final[dict[str, Any]] = {
    "paths": {
        "/notes": {
            "post": {
                "operationId": "create_note",
                "security": [{"key": ["write"]}],
                "parameters": [
                    {"in": "query", "name": "wait", "schema": {"type": "integer", "maximum": 60}},
                    {"in": "header", "name": "If-Match", "schema": {"type": "string"}},
                ],
                "requestBody": {
                    "required": False,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Note"}}},
                },
                "responses": {
                    "201": {
                        "headers": {"ETag": {"schema": {"type": "string"}}},
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/View"}}},
                    },
                    "404": {
                        "content": {"application/json": {"schema": {"allOf": [deepcopy(VIEW), {"required": ["cost"]}]}}}
                    },
                },
            }
        }
    },
    "webhooks": {
        "note.done": {
            "post": {
                "operationId": "receive_note_done",
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Sent"}}}},
                "responses": {},
            }
        }
    },
    "components": {
        "schemas": {
            "Note": NOTE,
            "View": VIEW,
            "Color": {"type": "string", "enum": ["red", "blue"]},
            "Sent": deepcopy(VIEW),
        }
    },
}
Change = Callable[[dict[str, Any]], Any]


def post(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"]["/notes"]["post"]
    return found


def schema(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda document: document["components"]["schemas"][name]


def put(name: str, field: str, **keys: Any) -> Change:
    """Change keys of a field; None removes one."""

    def change(document: dict[str, Any]) -> None:
        content = schema(name)(document)["properties"].setdefault(field, {})
        content.update(keys)
        for key in [key for key, value in keys.items() if value is None]:
            del content[key]

    return change


def drop(name: str, field: str) -> Change:
    return lambda document: schema(name)(document)["properties"].pop(field)


def need(name: str, *fields: str) -> Change:
    return lambda document: schema(name)(document).update(required=list(fields))


def body(**keys: Any) -> Change:
    return lambda document: post(document)["requestBody"].update(keys)


BREAKING: Final[list[tuple[Change, str]]] = [
    (lambda d: d["paths"].pop("/notes"), "POST /notes: removed"),
    (lambda d: d["webhooks"].clear(), "event note.done: removed"),
    (lambda d: post(d).update(operationId="add_note"), "POST /notes: operation id create_note -> add_note"),
    (lambda d: post(d).update(security=[{"key": ["admin"]}]), "POST /notes: other credentials"),
    (lambda d: post(d)["parameters"].pop(), "POST /notes header If-Match: removed"),
    (lambda d: post(d)["parameters"][0].update(required=True), "POST /notes query wait: required"),
    (
        lambda d: post(d)["parameters"].append({"in": "query", "name": "of", "required": True, "schema": {}}),
        "POST /notes query of: required",
    ),
    (lambda d: post(d)["parameters"][0]["schema"].update(maximum=30), "POST /notes query wait: maximum 60 -> 30"),
    (body(required=True), "POST /notes body: required"),
    (body(content={}), "POST /notes body application/json: removed"),
    (lambda d: post(d)["responses"].pop("404"), "POST /notes 404: removed"),
    (lambda d: post(d)["responses"]["201"].update(content={}), "POST /notes 201 application/json: removed"),
    (lambda d: post(d)["responses"]["201"].update(headers={}), "POST /notes 201 header ETag: removed"),
    # requests
    (drop("Note", "size"), "POST /notes body/size: removed"),
    (need("Note", "text", "color"), "POST /notes body/color: required"),
    (put("Note", "text", maxLength=99), "POST /notes body/text: maxLength 100 -> 99"),
    (put("Note", "text", minLength=2), "POST /notes body/text: minLength 1 -> 2"),
    (put("Note", "text", pattern="x"), "POST /notes body/text: pattern None -> x"),
    (put("Note", "text", format="uri"), "POST /notes body/text: format None -> uri"),
    (put("Note", "text", type="integer"), "POST /notes body/text: type string -> integer"),
    (put("Note", "text", enum=["a"]), "POST /notes body/text: value any other removed"),
    (put("Note", "color", default="blue"), "POST /notes body/color: default red -> blue"),
    (lambda d: schema("Color")(d).update(enum=["red"]), "POST /notes body/color: value blue removed"),
    (put("Note", "size", anyOf=[{"type": "integer"}]), "POST /notes body/size: type null -> integer"),
    (
        put("Note", "size", anyOf=[{"type": "integer", "minimum": 1, "maximum": 8}, {"type": "null"}]),
        "POST /notes body/size: maximum 9 -> 8",
    ),
    (put("Note", "tags", maxItems=4), "POST /notes body/tags: maxItems 5 -> 4"),
    (put("Note", "tags", items={"type": "integer"}), "POST /notes body/tags[]: type string -> integer"),
    (
        put("Note", "pairs", additionalProperties={"type": "string", "maxLength": 9}),
        "POST /notes body/pairs/*: maxLength 10 -> 9",
    ),
    (put("Note", "pairs", additionalProperties=False), "POST /notes body/pairs: unknown fields are refused"),
    # responses
    (drop("View", "cost"), "POST /notes 201/cost: removed"),
    (need("View", "id"), "POST /notes 201/state: no longer always present"),
    (put("View", "state", enum=["open", "done", "lost"]), "POST /notes 201/state: value lost added"),
    (put("View", "state", enum=None), "POST /notes 201/state: value any other added"),
    (put("View", "made_at", format=None), "POST /notes 201/made_at: format date-time -> None"),
    (put("View", "id", type="integer"), "POST /notes 201/id: type string -> integer"),
    (
        put("View", "id", type=None, anyOf=[{"type": "string"}, {"type": "null"}]),
        "POST /notes 201/id: type string -> null",
    ),
    (put("Sent", "state", enum=["open", "done", "lost"]), "event note.done body/state: value lost added"),
]
HARMLESS: Final[list[Change]] = [
    lambda d: d["paths"].update({"/more": d["paths"]["/notes"]}),
    lambda d: post(d).update(security=[{"key": ["write"]}, {"other": []}]),
    lambda d: post(d).update(security=[]),
    lambda d: post(d)["parameters"].append({"in": "query", "name": "of", "schema": {}}),
    lambda d: post(d)["parameters"][1].update(name="if-match"),
    lambda d: post(d)["responses"].update({"409": {}}),
    lambda d: post(d)["requestBody"]["content"].update({"text/plain": {"schema": {}}}),
    need("Note"),
    put("Note", "text", maxLength=200),
    put("Note", "text", minLength=None),
    put("Note", "extra", type="string"),
    put("Note", "tags", items={"type": "string"}),
    put("Note", "size", anyOf=[{"type": "number"}, {"type": "null"}, {"type": "string"}]),
    put("Note", "pairs", additionalProperties=True),
    lambda d: schema("Color")(d).update(enum=["red", "blue", "green"]),
    put("View", "extra", type="string"),
    put("View", "state", enum=["open"]),
    put("View", "code", **{"x-extensible-enum": ["one", "two"]}),
    put("View", "cost", type="integer"),
    need("View", "id", "state", "made_at", "cost"),
    put("View", "id", description="another text", maxLength=30),
]


@pytest.mark.parametrize(("change", "line"), BREAKING, ids=[line for _, line in BREAKING])
def test_breaking_change_is_found(change: Change, line: str) -> None:
    new = deepcopy(OLD)
    change(new)

    assert line in incompatible_changes(OLD, new)


@pytest.mark.parametrize("change", HARMLESS)
def test_harmless_change_is_not_reported(change: Change) -> None:
    new = deepcopy(OLD)
    change(new)

    assert new != OLD
    assert incompatible_changes(OLD, new) == []


def test_texts_are_removed_and_fields_of_their_name_stay() -> None:
    field = {"type": "string", "description": "A text.", "examples": ["a"]}
    schemas = {"Note": {"description": "A note.", "properties": {"description": field, "tags": field}}}

    kept = without_texts({"components": {"schemas": schemas, "examples": {"a": {}}}})

    only = {"type": "string"}
    assert kept == {"components": {"schemas": {"Note": {"properties": {"description": only, "tags": only}}}}}
