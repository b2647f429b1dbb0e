"""The sections of the runbook as pages: all of their text, without marks, and links that lead to a section."""

import re
from html import unescape
from typing import Final

import pytest

from service.console.documents import runbook_section
from tests.guards.repository import ROOT
from tests.support.console import Browser

RUNBOOK: Final = (ROOT / "docs/runbook.md").read_text()
SECTIONS: Final = re.findall(r"^## (.+)$", RUNBOOK, re.MULTILINE)


def words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z]{2,}", text)


async def test_every_section_is_a_page_without_marks(admin: Browser) -> None:
    assert len(SECTIONS) > 30
    for section, body in zip(SECTIONS, re.split(r"^## .+$", RUNBOOK, flags=re.MULTILINE)[1:], strict=True):
        page = await admin.get(f"/console/runbook/{section.lower().replace(' ', '-')}")
        main = page.text.partition("</h1>")[2].partition("</main>")[0]
        shown = unescape(re.sub(r"<[^>]+>", " ", main))
        written = re.sub(r"\]\([^)]*\)|```\w*", "", body)

        assert page.status_code == 200
        assert "**" not in shown
        assert words(shown) == words(written), section
        targets = re.findall(r'href="/console/runbook/([^"]+)"', main)
        assert targets == re.findall(r"\]\(#([^)]+)\)", body)
        assert all(runbook_section(target) for target in targets)


@pytest.mark.parametrize("name", ["", "no-such", "../settings", "<script>"])
async def test_unknown_section_is_not_found(admin: Browser, name: str) -> None:
    assert (await admin.get(f"/console/runbook/{name}")).status_code == 404
