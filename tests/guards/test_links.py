"""Links, files and scripts that the documents name exist."""

import json
import re
from pathlib import Path

import pytest

from tests.guards.repository import ROOT, files

DOCUMENTS = [path for path in files(".md") if path.parent == ROOT or path.is_relative_to(ROOT / "docs")]
LINK = re.compile(r"\]\((?!https?:)(?P<target>[^)#\s]*)(#(?P<anchor>[^)\s]+))?\)")
#: Options of other programs.
#: Names of Celery and of OpenAI's SDK.
FOREIGN = {
    "acks_late",
    "create_and_poll",
    "download_content",
    "extra_body",
    "extra_headers",
    "jwks_uri",
    "repository_owner_id",
}
CALLERS = "docs/how-to/callers.md"
NAMED = re.compile(r"`((?:service|workers|deploy|tests|docs|openapi)/[\w./-]+)`")


def anchors(text: str) -> set[str]:
    """Return the anchors of the headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(document: Path) -> None:
    for link in LINK.finditer(document.read_text()):
        target = document.parent / link["target"] if link["target"] else document
        assert target.exists(), link[0]
        if link["anchor"]:
            assert link["anchor"] in anchors(target.read_text()), link[0]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_named_files_exist(document: Path) -> None:
    text = document.read_text()
    scripts = {path.name for path in (ROOT / "service").rglob("*.lua")}

    assert {name for name in NAMED.findall(text) if not (ROOT / name).exists()} == set()
    assert set(re.findall(r"\b(\w+\.lua)\b", text)) <= scripts


def test_pages_link_no_file_outside_docs() -> None:
    """The gateway serves the pages; files outside of ``docs`` are not part of it."""
    docs = ROOT / "docs"
    for page in docs.rglob("*.md"):
        targets = [(page.parent / link["target"]).resolve() for link in LINK.finditer(page.read_text())]
        assert [target for target in targets if not target.is_relative_to(docs)] == [], page


def test_index_lists_every_page_with_its_title() -> None:
    docs = ROOT / "docs"
    entries = re.findall(r"^- \[(.+)\]\(/docs/(.+)\): \S.+$", (docs / "llms.txt").read_text(), re.MULTILINE)
    pages = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md") if not path.name[0].isdigit()}

    assert sorted(page for _, page in entries) == sorted(pages)
    for title, page in entries:
        assert f"\n# {title}\n" in "\n" + (docs / page).read_text(), page


def test_decisions_are_all_in_their_index() -> None:
    folder = ROOT / "docs/decisions"
    linked = re.findall(r"\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text())

    assert sorted(linked) == sorted(path.name for path in folder.glob("[0-9]*.md"))
    for number, name in enumerate(linked, 1):
        text = (folder / name).read_text()
        assert name.startswith(f"{number:04d}-")
        assert text.startswith(f"# {number}. ")
        assert re.search(r"^Date: \d{4}-\d\d-\d\d\.", text, re.MULTILINE)
        heads = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert [head for head in heads if head != "Alternatives"] == ["Context", "Decision", "Consequences"]


def test_identifiers_of_documents_exist_in_the_code() -> None:
    """Log events, metrics, fields and codes in backticks."""
    sources = [path for path in files(".py", ".lua", ".yml") if path.is_relative_to(ROOT / "service")]
    sources += [path for path in files(".py", ".yml", ".yaml") if path.is_relative_to(ROOT / "deploy")]
    known = {identifier for path in sources for identifier in re.findall(r"[a-z_0-9]+", path.read_text())}

    for document in DOCUMENTS:
        named = set(re.findall(r"`([a-z]+(?:_[a-z0-9]+)+)(?:`|\{)", document.read_text()))
        assert named - known - FOREIGN == set(), document


def test_callers_table_has_the_scopes_of_the_routes() -> None:
    paths = json.loads((ROOT / "openapi/openapi.json").read_text())["paths"]
    table = re.findall(r"^\| [^|]+ \| ([^|]*`[^|]+) \| `(\w+)` \|", (ROOT / CALLERS).read_text(), re.MULTILINE)
    scopes = {
        (method.upper(), re.sub(r"\{\w+\}", "{id}", path)): scheme["apiKey"]
        for path, item in paths.items()
        for method, operation in item.items()
        for scheme in operation.get("security", ())
        if "apiKey" in scheme
    }
    routes = [(route, scope) for cell, scope in table for route in re.findall(r"`([A-Z]+) ([^`?]+)", cell)]

    assert len(routes) > 15
    for (method, path), scope in routes:
        assert scopes[method, path] == [scope], path


def test_named_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    for document in DOCUMENTS:
        named = re.findall(r"(?:^|`)make ([a-z-]+)", document.read_text(), re.MULTILINE)
        assert set(named) <= targets, document
