"""The sections of the runbook as pages: all of their text, without marks, and links that lead to a section."""

import re
from collections.abc import Callable
from html import unescape
from typing import Final

import pytest

from service.console import documents
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
        assert all(runbook_section(target, path="") for target in targets)


@pytest.mark.parametrize("name", ["", "no-such", "../settings", "<script>"])
async def test_unknown_section_is_not_found(admin: Browser, name: str) -> None:
    assert (await admin.get(f"/console/runbook/{name}")).status_code == 404


@pytest.fixture
def runbook(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def replaced(text: str) -> None:
        monkeypatch.setattr(documents, "_sections", lambda: {"section": text})

    return replaced


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("[a](#b)", '<p><a href="/console/runbook/b">a</a></p>'),
        ("[a](https://evil.example)", "<p><a>a</a></p>"),
        ("[a](javascript:alert(1))", "<p>[a](javascript:alert(1))</p>"),
        ("[a](models.md)", "<p><a>a</a></p>"),
        ("<https://evil.example>", "<p><a>https://evil.example</a></p>"),
        ('[a](#"onclick="x)', '<p><a href="/console/runbook/%22onclick=%22x">a</a></p>'),
        ("<script>x</script>", "<p>&lt;script&gt;x&lt;/script&gt;</p>"),
        ("a <b onclick=x>c", "<p>a &lt;b onclick=x&gt;c</p>"),
        ("![a](https://evil.example/a.png)", "<p>!<a>a</a></p>"),
    ],
)
def test_runbook_text_leads_to_sections_only(runbook: Callable[[str], None], text: str, html: str) -> None:
    runbook(text)
    assert runbook_section("section", path="/console/runbook").strip() == html
