"""Every error of pydantic becomes a sentence of this API."""

import json
import re
from typing import Any, get_args

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core.core_schema import ErrorType

from service.api import routes
from service.api.http.dependencies import JsonBody
from service.domain.faults import faults_of, sentence
from service.domain.json_body import parse
from service.domain.request import CreateGeneration
from service.errors import FieldError, Invalid, Malformed

#: Values of every context that a sentence can name.
CONTEXT = dict.fromkeys(("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length"), 2) | {
    "expected": "'a' or 'b'",
    "pattern": "^x$",
}
PYDANTICS = re.compile(r"Input|[Ss]hould|unable to|[Vv]alue error|dictionary|boolean|integer|timezone|tuple|\\{")
WRONG: list[Any] = [None, True, 5, -1, 1.5, "", "x", "x" * 9000, [], [1], {}, {"x": 1}, 1e300, "2026-01-31", "\x00"]


@pytest.mark.parametrize("kind", get_args(ErrorType))
def test_every_error_of_pydantic_has_a_sentence(kind: str) -> None:
    if kind == "url_scheme":
        return  # our own error has this type too
    text = sentence({"type": kind, "loc": ("x",), "msg": "Input should be pydantic's own", "ctx": CONTEXT})

    assert not PYDANTICS.search(text), text
    assert text[0].islower()


def test_own_error_keeps_its_sentence() -> None:
    assert sentence({"type": "money_form", "loc": ("x",), "msg": "must be an amount"}) == "must be an amount"


@pytest.mark.parametrize(("most", "text"), [(1, "1 item"), (2, "2 items"), (11, "11 items"), (21, "21 items")])
def test_number_and_noun_agree(most: int, text: str) -> None:
    assert sentence({"type": "too_long", "loc": (), "ctx": {"max_length": most}}) == f"must have at most {text}"


class Numbers(BaseModel):
    first: int
    rest: list[int] = []


def faults(body: bytes) -> Malformed | Invalid:
    with pytest.raises(ValidationError) as raised:
        Numbers.model_validate_json(body)
    return faults_of(raised.value)


def test_faults_beyond_the_most_are_counted() -> None:
    """Each costs memory: 100 are listed, more are one fault of the whole body."""
    listed = faults(json.dumps({"first": 1, "rest": ["x"] * 100}).encode())
    assert [error.pointer for error in listed.errors] == [f"/rest/{place}" for place in range(100)]
    counted = faults(json.dumps({"first": 1, "rest": ["x"] * 101}).encode())
    assert counted.errors == (FieldError("", "has 101 faults", "too_many_faults"),)


def test_body_that_is_no_object_has_a_sentence() -> None:
    assert faults(b"[]").errors == (FieldError("", "the body must be a JSON object", "model_type"),)


def test_fault_without_context_has_a_sentence() -> None:
    assert sentence({"type": "missing", "loc": ("x",), "msg": "Field required"}) == "is required"


def models() -> set[type[BaseModel]]:
    """Return the models of all bodies of the API."""
    app = FastAPI()
    routes.install(app)
    calls = [
        dependency.call
        for route in app.routes
        if isinstance(route, APIRoute)
        for dependency in route.dependant.dependencies
    ]
    return {CreateGeneration, *(call.model for call in calls if isinstance(call, JsonBody))}


def test_wrong_value_of_any_field_has_a_sentence() -> None:
    found = models()
    assert len(found) > 8
    seen = set()
    for model in found:
        adapter = TypeAdapter(model)
        bodies = [{name: wrong} for name in model.model_fields for wrong in WRONG]
        for body in [*bodies, *WRONG, {"x": {"y": 1}}]:
            try:
                parse(adapter, json.dumps(body).encode())
            except Invalid as error:
                for fault in error.errors:
                    assert not PYDANTICS.search(fault.detail), (model, body, fault)
                    seen.add(fault.detail)
    assert {"must be a string", "must be a whole number", "is required", "unknown field"} <= seen
