"""The README and the OpenAPI document say what the code does."""

import json
import re

import pytest

from service.app import create_app
from service.domain.generation import TERMINAL, TRANSITIONS, Status
from tests.guards.repository import README, ROOT
from tests.support import factories, tables

OPENAPI = ROOT / "openapi/openapi.json"
ARROW = re.compile(r"^\s*(?P<before>\S+) --> (?P<after>[^\s:]+)(: (?P<words>.+))?$")


@pytest.mark.parametrize("name", tables.TABLES)
def test_the_readmes_tables_are_the_codes_own(name: str) -> None:
    written = tables.section(README.read_text(), name)

    assert written == tables.TABLES[name](), "run: python tests/support/tables.py"


def test_writing_the_tables_changes_nothing_else() -> None:
    text = "".join(f"before {name}\n<!-- {name} -->old<!-- /{name} -->\n" for name in tables.TABLES) + "after\n"

    once = tables.rewritten(text)

    assert [tables.section(once, name) for name in tables.TABLES] == [table() for table in tables.TABLES.values()]
    assert tables.rewritten(once) == once
    assert re.sub(r"(<!-- (\w+) -->).*?(<!-- /\2 -->)", r"\1old\3", once, flags=re.DOTALL) == text


def test_a_readme_without_the_markers_is_noticed() -> None:
    with pytest.raises(LookupError, match="refusals"):
        tables.rewritten("# Nothing here")


def test_every_setting_and_metric_says_what_it_is() -> None:
    rows = [line for table in tables.TABLES.values() for line in table().splitlines()[2:]]

    assert [row for row in rows if re.search(r"\|\s*\|$", row)] == []
    assert len(rows) > 40


def test_no_secret_has_a_default_to_show() -> None:
    table = tables.settings_table()

    assert "| `GATEWAY_FAL_KEY` | required |" in table
    assert "| `GATEWAY_SECRET_KEY` | required |" in table
    assert "| `GATEWAY_ADMIN_TOKEN` | unset |" in table
    assert "| `GATEWAY_RETENTION` | `2592000` |" in table
    assert "| `GATEWAY_WEBHOOK_SCHEDULE` | `[0, 5, 300, 1800, 7200, 18000, 36000, 36000]` |" in table


def test_the_readmes_state_picture_is_the_table_of_moves() -> None:
    drawn = [match for line in _state_diagram() if (match := ARROW.match(line))]
    moves = [(arrow["before"], arrow["after"]) for arrow in drawn if "[*]" not in arrow.groups()]

    assert len(moves) == len(set(moves)), "an arrow is drawn twice"
    assert set(moves) == {(before, after) for before, exits in TRANSITIONS.items() for after in exits}
    assert {arrow["after"] for arrow in drawn if arrow["before"] == "[*]"} == {Status.QUEUED}
    assert {arrow["before"] for arrow in drawn if arrow["after"] == "[*]"} in (set(), TERMINAL)


def test_every_arrow_of_the_picture_has_words() -> None:
    mute = [
        line
        for line in _state_diagram()
        if (arrow := ARROW.match(line)) and "[*]" not in arrow.groups() and not (arrow["words"] or "").strip()
    ]

    assert mute == []


def test_the_picture_holds_nothing_but_arrows() -> None:
    assert [line for line in _state_diagram() if line.strip() and not ARROW.match(line)] == []


def test_the_openapi_document_is_the_apps_own() -> None:
    document = create_app(factories.settings("redis://127.0.0.1:9/0")).openapi()

    assert json.loads(OPENAPI.read_text()) == document, "run: make openapi"


def _state_diagram() -> list[str]:
    diagrams = re.findall(r"```mermaid\n\s*stateDiagram-v2\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(diagrams) == 1
    lines: list[str] = diagrams[0].splitlines()
    return lines
