"""The reference pages and the OpenAPI document are what the code generates."""

import json
import math
import re
from pathlib import Path
from typing import get_args

import pytest

from reference import errors, pages, settings, states
from service.app import create_app
from service.domain.failure import ErrorCode
from service.domain.field_types import Resolution
from service.domain.pricing import Rates
from service.domain.request import CreateGeneration
from service.domain.status import TRANSITIONS, Status
from tests.guards.repository import ROOT
from tests.support import factories

OPENAPI = ROOT / "openapi/openapi.json"
GENERATED = pages.files()
ARROW = re.compile(r"^    (?P<before>\S+) --> (?P<after>[^\s:]+)(: (?P<cause>.+))?$")


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.name)
def test_reference_page_is_generated(path: Path) -> None:
    assert path.read_text() == GENERATED[path], "run: make docs"


def test_reference_folder_has_no_other_page() -> None:
    assert set(pages.FOLDER.iterdir()) == set(GENERATED)


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.name)
def test_reference_rows_have_a_meaning(path: Path) -> None:
    rows = [line for line in GENERATED[path].splitlines() if line.startswith("|")]

    assert [row for row in rows if re.search(r"\|\s*\|$", row)] == []


def test_settings_page_shows_no_secret() -> None:
    page = settings.page()

    assert "| `GATEWAY_FAL_KEY` | required |" in page
    assert "| `GATEWAY_SECRET_KEY` | required |" in page
    assert "| `GATEWAY_ADMIN_TOKEN` | unset |" in page
    assert "| `GATEWAY_RETENTION` | `2592000` |" in page
    assert "| `GATEWAY_WEBHOOK_SCHEDULE` | `[0, 5, 300, 1800, 7200, 18000, 36000, 36000]` |" in page


def test_states_picture_has_exactly_the_transitions() -> None:
    (diagram,) = re.findall(r"```mermaid\nstateDiagram-v2\n(.*?)```", states.page(), re.DOTALL)
    arrows = [ARROW.match(line) for line in diagram.splitlines()]
    drawn = [(arrow["before"], arrow["after"]) for arrow in arrows if arrow]

    assert len(drawn) == len(arrows)
    assert sorted(drawn[1:]) == sorted((before, after) for before, exits in TRANSITIONS.items() for after in exits)
    assert drawn[0] == ("[*]", Status.QUEUED)
    assert states.causes() == set(drawn[1:])
    assert states.meanings() == set(Status)


def test_errors_page_has_exactly_the_codes() -> None:
    assert errors.meanings() == set(get_args(ErrorCode))


def test_openapi_document_is_generated() -> None:
    document = create_app(factories.settings("redis://127.0.0.1:9/0")).openapi()

    assert json.loads(OPENAPI.read_text()) == document, "run: make openapi"


#: Where a caller reads what the defaults cost, and for which resolution and duration each amount is.
COSTS: dict[str, tuple[Resolution, str]] = {"4.58": ("720p", "auto"), "1.54": ("720p", "5"), "0.71": ("480p", "5")}


def test_costs_in_descriptions_are_those_of_the_price_table() -> None:
    rates = Rates(factories.settings("redis://127.0.0.1:1").rates)
    for shown, (resolution, duration) in COSTS.items():
        assert f"{math.ceil(rates.estimate(resolution, duration) / 10_000) / 100:.2f}" == shown, "rounded up"
    fields = CreateGeneration.model_json_schema()["properties"]
    texts = {name: fields[name]["description"] for name in ("resolution", "duration")}
    operation = create_app(factories.settings("redis://127.0.0.1:1")).openapi()["paths"]["/v1/generations"]["post"]
    assert fields["resolution"]["default"] == COSTS["4.58"][0]
    assert fields["duration"]["default"] == COSTS["4.58"][1]
    for text in (*texts.values(), operation["description"]):
        amounts = set(re.findall(r"\d+\.\d\d(?= USD)", text))
        assert {"4.58", "0.71"} <= amounts <= set(COSTS), text
