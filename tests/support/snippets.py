"""Code blocks of the documents, with the comments in front of them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.guards.repository import ROOT, files

LANGUAGES: Final = {"sh", "bash", "console", "python", "js", "javascript"}
_BLOCK: Final = re.compile(
    r"(?P<comments>(?:^<!--.*?-->\s*)*)^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_MARKER: Final = re.compile(r"<!-- (?P<kind>covered|not run): (?P<value>.+?) -->")


@dataclass(frozen=True)
class Block:
    """``covered``: path of the test that runs it. ``reason``: why no test does. Neither: it runs with its document."""

    document: Path
    language: str
    text: str
    covered: str = ""
    reason: str = ""

    @property
    def runs(self) -> bool:
        return not (self.covered or self.reason)


def documents() -> list[Path]:
    return [path for path in files(".md") if path.parent == ROOT or path.is_relative_to(ROOT / "docs")]


def blocks(document: Path) -> Iterator[Block]:
    """Yield the blocks in a language of ``LANGUAGES``."""
    for found in _BLOCK.finditer(document.read_text()):
        if found["language"] in LANGUAGES:
            markers = dict(_MARKER.findall(found["comments"]))
            yield Block(
                document, found["language"], found["text"], markers.get("covered", ""), markers.get("not run", "")
            )


def yaml_blocks(document: Path) -> list[str]:
    """Return the blocks of YAML."""
    return [found["text"] for found in _BLOCK.finditer(document.read_text()) if found["language"] == "yaml"]
