"""The OpenAPI document as generators of clients read it: names, types, formats, texts."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from tests.guards.test_openapi import DOCUMENT, METHODS, contents, operations, resolved, values

#: A value, not a schema.
VALUES: Final = {"const", "default", "enum", "example", "examples"}
SCHEMAS: Final[dict[str, Any]] = DOCUMENT["components"]["schemas"]
VERBS: Final = re.compile(
    "(adjust|audit|block|cancel|change|check|complete|create|delete|disable|dismiss|drain|enable|erase|estimate|follow|"
    "forward|initiate|list|pause|preview|put|read|receive|redeliver|refuse|replace|replay|resolve|resume|revive|revoke|rotate|"
    "run|send|start|stop|stream|submit|suspend|trace|unblock|unpause|unsuspend|upload)_.+"
)
TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
PLACEHOLDERS: Final = ("Successful Response", "in a sentence", "Lorem", "TODO", "string")


def nodes(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each object of the document that is no value, with its path."""
    if isinstance(node, dict):
        yield path, node
        for key, value in node.items():
            if key not in VALUES:
                yield from nodes(value, f"{path}/{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from nodes(value, f"{path}/{index}")


SCHEMA_NODES: Final = [
    (path, node)
    for part in ("paths", "webhooks", "components")
    for path, node in nodes(DOCUMENT[part], part)
    if not path.endswith("/properties")
]


def all_operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for section in ("paths", "webhooks"):
        for path, method, operation in operations(section):
            yield f"{method} {path}", operation


def pascal(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", name))


def test_constants_and_enumerations_have_types() -> None:
    """Without a type, a generator takes them for anything, and drops the response that has them in an ``allOf``."""
    bare = [path for path, node in SCHEMA_NODES if ("const" in node or "enum" in node) and "type" not in node]

    assert bare == []


def test_null_is_one_of_several_types() -> None:
    """A generator for Python ends with an error at a property that can only be null: give it the type it would have."""
    only_null = [path for path, node in SCHEMA_NODES if node.get("type") == "null" and "/anyOf/" not in path]

    assert only_null == []


def test_enumerations_are_named_schemas() -> None:
    """Name a new one in ``service/api/openapi/enumerations.py``."""
    inline = [
        path
        for path, node in SCHEMA_NODES
        if len(node.get("enum", ())) > 1 and not re.fullmatch(r"components/schemas/\w+|.*/parameters/\d+/schema", path)
    ]
    same = [
        values for values, count in Counter(tuple(s.get("enum", ())) for s in SCHEMAS.values()).items() if count > 1
    ]

    assert inline == []
    assert same in ([], [()]), "one enumeration has one name"


def test_schemas_have_no_titles() -> None:
    """A title becomes a class name, and every ``Status`` property had the same one."""
    assert [path for path, node in SCHEMA_NODES if isinstance(node.get("title"), str)] == []


def test_generated_class_names_are_unique() -> None:
    """Of named schemas and responses, of their inline objects, and of what generators derive from an operation.

    Without case: Python modules are files, and some file systems ignore case.
    """
    names = [*SCHEMAS, *DOCUMENT["components"]["responses"]]
    for name, schema in SCHEMAS.items():
        names += [
            name + pascal(field)
            for field, content in schema.get("properties", {}).items()
            if content.get("type") == "object" or "anyOf" in content
        ]
    for _, operation in all_operations():
        suffixes = ("Data", "Response", "Responses", "Error", "Errors", "Body", "Params", "Request")
        names += [pascal(operation["operationId"]) + suffix for suffix in suffixes]
        names += [pascal(f"{operation['operationId']}_{each['name']}") for each in operation.get("parameters", ())]
    counted = Counter(name.lower() for name in names)

    assert [name for name, count in counted.items() if count > 1] == []


def test_operation_ids_are_verbs_on_nouns() -> None:
    names = [operation["operationId"] for _, operation in all_operations()]

    assert [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+)+", name)] == []
    assert [name for name in names if not VERBS.fullmatch(name)] == []


def test_sent_and_received_operations_share_no_tag() -> None:
    """A generator makes a file of each tag and section: the events overwrote the routes of their tag."""
    tags = {
        section: {tag for *_, each in operations(section) for tag in each["tags"]} for section in ("paths", "webhooks")
    }

    assert tags["paths"] & tags["webhooks"] == set()


def test_operations_and_responses_have_texts_of_their_own() -> None:
    for name, operation in all_operations():
        own = re.split(r"\n*Needs (a|an|the|no) ", operation["description"])[0]
        assert len(own) > 20, f"{name}: give the route a description"
        assert operation["summary"] != own.strip(), name
        for status, answer in operation["responses"].items():
            text = resolved(answer)["description"]
            assert len(text) > 3, f"{name} {status}"
            assert not any(each in text for each in PLACEHOLDERS), f"{name} {status}: {text}"


def test_examples_have_no_placeholders() -> None:
    for whose, _, content in contents():
        for value in values(content):
            found = [text for text in texts(value) if any(each in text for each in PLACEHOLDERS)]
            assert found == [], whose


def test_examples_have_only_fields_of_their_schema() -> None:
    """A validator ignores other fields, and a reader would look for them in the response."""
    unknown = {
        f"{whose} {where}"
        for whose, _, content in contents()
        for value in values(content)
        for where in unknown_fields(content["schema"], value)
    }

    assert unknown == set()


def unknown_fields(schema: dict[str, Any], value: Any, path: str = "") -> Iterator[str]:
    forms = alternatives(schema)
    if isinstance(value, list):
        for each in value:
            yield from unknown_fields({"anyOf": [form["items"] for form in forms if "items" in form]}, each, path)
    if not isinstance(value, dict) or any(form.get("additionalProperties") for form in forms):
        return
    for name, each in value.items():
        fields = [form["properties"][name] for form in forms if name in form.get("properties", {})]
        if fields:
            yield from unknown_fields({"anyOf": fields}, each, f"{path}/{name}")
        elif any("properties" in form for form in forms):
            yield f"{path}/{name}"


def alternatives(schema: dict[str, Any]) -> list[dict[str, Any]]:
    schema = resolved(schema)
    parts = [*schema.get("anyOf", ()), *schema.get("allOf", ())]
    return [schema, *(form for part in parts for form in alternatives(part))]


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from texts(each)


def test_event_streams_are_strings() -> None:
    streams = [content for _, media, content in contents() if media == "text/event-stream"]

    assert len(streams) > 3
    assert all(content["schema"] == {"type": "string"} for content in streams)
    assert all(content["example"].endswith("\n\n") for content in streams), "an event ends with an empty line"


def test_times_and_days_have_their_format() -> None:
    """By the examples, and by the descriptions where no example has a value."""
    bare = [
        f"{whose} {where}"
        for whose, _, content in contents()
        for value in values(content)
        for where, text, formats in leaves(content["schema"], value)
        if (TIME.fullmatch(text) and "date-time" not in formats) or (DAY.fullmatch(text) and "date" not in formats)
    ]
    described = [
        f"{name}.{field}"
        for name, schema in SCHEMAS.items()
        for field, content in schema.get("properties", {}).items()
        if (field.endswith("_at") or "RFC 3339" in content["description"]) and "date-time" not in formats_of(content)
        if "Unix seconds" not in content["description"]
    ]
    parameters = [
        f"{name} {parameter['name']}"
        for name, operation in all_operations()
        for parameter in operation.get("parameters", ())
        if "RFC 3339" in parameter["description"] and "date-time" not in formats_of(parameter["schema"])
    ]

    assert set(bare) == set()
    assert described == []
    assert parameters == []


def leaves(schema: dict[str, Any], value: Any, path: str = "") -> Iterator[tuple[str, str, set[str]]]:
    """Yield each text of a value with the formats that its schema names."""
    schema = resolved(schema)
    if isinstance(value, str):
        yield path, value, formats_of(schema)
        return
    for part in [*schema.get("anyOf", ()), *schema.get("allOf", ()), *schema.get("oneOf", ())]:
        if resolved(part).get("type", "object") != "null":
            yield from leaves(part, value, path)
    if isinstance(value, dict):
        for key, each in value.items():
            if key in schema.get("properties", {}):
                yield from leaves(schema["properties"][key], each, f"{path}/{key}")
    elif isinstance(value, list) and "items" in schema:
        for each in value:
            yield from leaves(schema["items"], each, path)


def formats_of(schema: dict[str, Any]) -> set[str]:
    schema = resolved(schema)
    own = {schema["format"]} if "format" in schema else set()
    return own.union(*(formats_of(part) for part in schema.get("anyOf", ())))


def test_methods_are_known() -> None:
    """The guards look at these methods only."""
    known = {*METHODS, "parameters", "summary", "description"}

    assert {key for item in DOCUMENT["paths"].values() for key in item} <= known
