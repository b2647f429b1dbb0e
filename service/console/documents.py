"""Sections of the runbook, which comes with this release."""

import re
from functools import cache
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from markupsafe import Markup

import service
from service.errors import NotFound

_PACKAGE: Final = Path(service.__file__).parent
#: In a wheel, and in a checkout.
_FILES: Final = (_PACKAGE / "documents/runbook.md", _PACKAGE.parent / "docs/runbook.md")
_HEADING: Final = re.compile(r"^## (.+)$", re.MULTILINE)
#: HTML in the text is shown as text.
_MARKDOWN: Final = MarkdownIt("commonmark", {"html": False}).disable("image")


def runbook_section(name: str, *, path: str) -> Markup:
    """Return a section as HTML. Links lead to other sections, below ``path``; any other link is its text alone.

    Raises NotFound.
    """
    text = _sections().get(name)
    if text is None:
        raise NotFound("The runbook has no such section.")
    tokens = _MARKDOWN.parse(text)
    inline = (child for token in tokens for child in token.children or ())
    for link in (child for child in inline if child.type == "link_open"):
        target = str(link.attrs["href"])
        link.attrs = {"href": f"{path}/{target[1:]}"} if target.startswith("#") else {}
    return Markup(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}))  # noqa: S704  (it has escaped all text)


@cache
def _sections() -> dict[str, str]:
    text = next((file.read_text() for file in _FILES if file.is_file()), "")
    _, *parts = _HEADING.split(text)
    names = [name.strip().lower().replace(" ", "-") for name in parts[::2]]  # as links have them
    return dict(zip(names, parts[1::2], strict=True))
