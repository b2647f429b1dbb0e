"""Descriptions of fields from the strings below them."""

from typing import Any

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from service.domain.described import describe, described
from service.domain.reason import Reason
from service.domain.webhook_endpoint_view import DisabledView, EndpointView


def schema(*fields: str, **described: str) -> dict[str, Any]:
    own = {name: {"description": text} for name, text in described.items()}
    return {"properties": {**{name: {} for name in fields}, **own}}


def descriptions(made: dict[str, Any]) -> dict[str, str | None]:
    return {name: field.get("description") for name, field in made["properties"].items()}


def test_describe_uses_the_string_below_a_field() -> None:
    made = schema("reason", "other")
    describe(made, Reason)

    assert descriptions(made) == {
        "reason": "Why, 1 to 500 characters. `doctor` and `GET /admin/v1/dispatch` show it.",
        "other": None,
    }


def test_describe_joins_lines_and_keeps_other_descriptions() -> None:
    made = schema("reason", at="own")
    describe(made, DisabledView)

    text = descriptions(made)["reason"]
    assert text is not None
    assert text.startswith("`requested`: you or an operator disabled it.")
    assert text.endswith("5 days\n(a setting of the operator).")
    assert descriptions(made)["at"] == "own"


def test_describe_skips_fields_that_the_schema_lacks() -> None:
    made = schema("id")
    describe(made, EndpointView)

    assert descriptions(made) == {"id": "Id of the endpoint, `whe_` and 26 characters."}


def test_describe_uses_the_strings_of_bases() -> None:
    class Narrower(Reason):
        pass

    made = schema("reason")
    describe(made, Narrower)

    assert descriptions(made)["reason"] == descriptions(_of(Reason))["reason"]


def test_described_typed_dict_has_descriptions_of_its_bases() -> None:
    @described
    class Narrower(DisabledView):
        extra: int

    properties = TypeAdapter(Narrower).json_schema()["properties"]

    assert properties["at"]["description"] == "When it was disabled, RFC 3339 in UTC with milliseconds."
    assert "description" not in properties["extra"], "its class is in no module of the service"


def test_described_returns_the_class() -> None:
    class View(TypedDict):
        extra: int

    assert described(View) is View


def _of(cls: type) -> dict[str, Any]:
    made = schema("reason")
    describe(made, cls)
    return made
