"""Every code block of the documents is run by a test, or states why not."""

from pathlib import Path

import pytest

from tests.guards.repository import ROOT
from tests.support.snippets import Block, blocks, documents

BLOCKS = [block for document in documents() for block in blocks(document)]


def name(block: Block) -> str:
    return f"{block.document.relative_to(ROOT)}: {block.text.splitlines()[0][:40]}"


@pytest.mark.parametrize("block", BLOCKS, ids=name)
def test_block_is_run_or_has_a_reason(block: Block) -> None:
    assert not (block.covered and block.reason)
    if block.covered:
        assert (ROOT / block.covered).is_file()
    elif block.reason:
        assert len(block.reason) > 20
    else:
        assert block.language == "sh", "only shell blocks run with their document"


def test_blocks_are_read_with_their_markers(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text(
        "Text\n\n```sh\nrun me\n```\n\n<!-- covered: tests/a.py -->\n<!-- other -->\n\n```python\nx = 1\n```\n"
        "<!-- not run: needs a cluster -->\n```console\n$ y\n```\n```json\n{}\n```\n"
    )

    assert list(blocks(document)) == [
        Block(document, "sh", "run me\n"),
        Block(document, "python", "x = 1\n", covered="tests/a.py"),
        Block(document, "console", "$ y\n", reason="needs a cluster"),
    ]
    assert [block.runs for block in blocks(document)] == [True, False, False]


def test_documents_have_blocks_that_run() -> None:
    running = {str(block.document.relative_to(ROOT)) for block in BLOCKS if block.runs}

    assert {"README.md", "docs/tutorial.md", "docs/how-to/callers.md", "docs/how-to/webhooks.md"} <= running
