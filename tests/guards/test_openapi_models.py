"""The OpenAPI document has one schema of requests for each model, and ``model`` in a body selects it."""

import re
from typing import Any, Final

import jsonschema
import pytest

from service.api.openapi import model_requests
from service.domain.models import schema
from service.domain.models.forms import RequestForm
from service.domain.models.model import Model
from service.domain.models.registry import SEED
from tests.guards.test_openapi import DOCUMENT, resolved
from tests.support.model_requests import FORMS, SERVED, bare, largest, smallest, wrong_bodies

REFERENCE: Final = "#/components/schemas/"
BODY: Final = jsonschema.Draft202012Validator(
    {"$ref": f"{REFERENCE}CreateGeneration", "components": DOCUMENT["components"]}
)
#: The gateway checks these in Python: an operator sets the length of prompts, URLs can be data URIs, and rules are
#: between fields.
NOT_IN_SCHEMAS: Final = re.compile(
    "prompt (too long|blank)|.*_urls? (too long|of wrong scheme|as data.*)|@.* without a file|too many files in all|"
    "audio alone|(editing|extension) with .*"
)


def selected() -> dict[str, str]:
    """Return the name of the schema that each id selects."""
    node, found = DOCUMENT["components"]["schemas"]["CreateGeneration"], {}
    while node:
        found[node["if"]["properties"]["model"]["const"]] = node["then"]["$ref"].removeprefix(REFERENCE)
        node = node.get("else")
    return found


def test_every_model_has_one_schema() -> None:
    names = selected()

    assert list(names) == [model.id for model in SERVED]
    assert len(set(names.values())) == len(SERVED)
    assert {name for name in DOCUMENT["components"]["schemas"] if name.startswith("Create")} == {
        "CreateGeneration",
        *names.values(),
    }


def compared(node: Any) -> Any:
    """Return a schema without titles, and with the enumerations that it refers to."""
    if isinstance(node, list):
        return [compared(each) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        node = {**resolved(node), **{key: value for key, value in node.items() if key != "$ref"}}
    return {
        key: " ".join(value.split()) if key == "description" else compared(value)
        for key, value in node.items()
        if key != "title" or isinstance(value, dict)
    }


@pytest.mark.parametrize("model", SERVED, ids=lambda model: model.id)
def test_schema_of_document_is_that_of_the_model(model: Model) -> None:
    own: RequestForm = FORMS.of(model)

    assert compared(DOCUMENT["components"]["schemas"][selected()[model.id]]) == compared(schema.of_form(own))


@pytest.mark.parametrize("model", SERVED, ids=lambda model: model.id)
def test_body_is_valid_by_the_schema_of_its_model(model: Model) -> None:
    for body in (bare(model), smallest(model), largest(model)):
        BODY.validate(body)
    accepted = [wrong.title for wrong in wrong_bodies(model) if BODY.is_valid(wrong.body)]

    assert [title for title in accepted if not NOT_IN_SCHEMAS.fullmatch(title)] == []


def test_body_without_model_is_valid_by_the_schema_of_the_seed() -> None:
    seed = next(model for model in SERVED if model.id == SEED)
    for body in (smallest(seed), largest(seed)):
        del body["model"]
        BODY.validate(body)
    assert not BODY.is_valid({"prompt": "a cat"})
    assert not BODY.is_valid({**smallest(seed), "codec": "auto"} | {"model": SEED})
    assert not BODY.is_valid({"prompt": "a cat", "image_url": "https://example.com/a.png", "codec": "auto"})


@pytest.mark.parametrize("name", ["seedance-lite", "example/invented/text-to-video", None])
def test_body_of_an_unknown_model_has_the_fields_of_any(name: str | None) -> None:
    """An alias, or a model of an operator's file."""
    assert BODY.is_valid({"model": name, "prompt": "a cat", "codec": "H264", "duration": 30})


def test_enumerations_of_models_have_one_name_each() -> None:
    schemas: dict[str, Any] = {"CreateGeneration": {}}
    names = model_requests.add(schemas)

    assert len(set(names.values())) == len(names)
