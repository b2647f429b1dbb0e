"""A client of the released API document works with the present one, or the changelog says what changed."""

import json
import re
from typing import Final

from tests.guards.repository import ROOT
from tests.guards.test_openapi import DOCUMENT
from tests.support.api_compatibility import RELEASED, incompatible_changes

CHANGELOG: Final = (ROOT / "CHANGELOG.md").read_text()
HEADING: Final = "### API changes"


def noted_changes(changelog: str) -> list[re.Pattern[str]]:
    """Return the changes in backticks below ``### API changes`` of the newest release. ``*`` stands for any text."""
    newest = changelog.split("\n## ")[1]
    section = newest.partition(f"\n{HEADING}\n")[2].partition("\n### ")[0]
    notes = re.findall(r"^- `([^`]+)`", section, re.MULTILINE)
    return [re.compile(".*".join(map(re.escape, note.split("*")))) for note in notes]


def test_document_is_compatible_with_released_one() -> None:
    released = json.loads(RELEASED.read_text())
    notes = noted_changes(CHANGELOG)

    found = incompatible_changes(released, DOCUMENT)

    unnoted = [change for change in found if not any(note.fullmatch(change) for note in notes)]
    assert unnoted == [], f"avoid it, or write a line - `CHANGE`: REASON below {HEADING} of the newest release"


def test_released_document_has_version_of_a_release() -> None:
    version = json.loads(RELEASED.read_text())["info"]["version"]

    assert f"\n## {version} - " in CHANGELOG


def test_changelog_notes_changes_with_wildcards() -> None:
    changelog = (
        f"# C\n\n## 2 - x\n\n{HEADING}\n\n- `* 200/a[]: removed`: why\n\n### Fixed\n\n- `b`\n\n## 1 - y\n- `c`\n"
    )

    (note,) = noted_changes(changelog)

    assert note.fullmatch("GET /x 200/a[]: removed")
    assert not note.fullmatch("GET /x 200/b[]: removed")
