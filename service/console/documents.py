"""Sections of the runbook, which comes with this release."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

import service
from service.errors import NotFound

_PACKAGE: Final = Path(service.__file__).parent
#: In a wheel, and in a checkout.
_FILES: Final = (_PACKAGE / "documents/runbook.md", _PACKAGE.parent / "docs/runbook.md")
_HEADING: Final = re.compile(r"^## (.+)$", re.MULTILINE)
_FENCED: Final = re.compile(r"```\w*\n(.*?)```", re.DOTALL)
_ITEM: Final = re.compile(r"^(?:- |\d+\. )", re.MULTILINE)
_INLINE: Final = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\(([^)]+)\)")


@dataclass(frozen=True, slots=True)
class Span:
    """Text within a line. ``section``: of the runbook, that a link leads to."""

    style: Literal["plain", "code", "strong", "link"]
    text: str
    section: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """``lines``: of a list, or of numbered steps, its items; else one. Code is one plain span with its line breaks."""

    kind: Literal["paragraph", "list", "steps", "code"]
    lines: tuple[tuple[Span, ...], ...]


def runbook_section(name: str) -> list[Block]:
    """Return a section: what its Markdown has of paragraphs, lists, code, tables (as code), and links to sections.

    Raises NotFound.
    """
    found = _sections().get(name)
    if found is None:
        raise NotFound("The runbook has no such section.")
    blocks: list[Block] = []
    for number, part in enumerate(_FENCED.split(found)):
        if number % 2:
            blocks.append(Block("code", ((Span("plain", part.rstrip()),),)))
        else:
            blocks += [_block(text.strip()) for text in part.split("\n\n") if text.strip()]
    return blocks


def _block(text: str) -> Block:
    if text.startswith("|"):
        return Block("code", ((Span("plain", text),),))
    before, *items = _ITEM.split(text)
    if items and not before:
        return Block("list" if text.startswith("-") else "steps", tuple(_spans(item) for item in items))
    return Block("paragraph", (_spans(text),))


def _spans(text: str) -> tuple[Span, ...]:
    flowing, found, end = " ".join(text.split()), list[Span](), 0
    for match in _INLINE.finditer(flowing):
        code, strong, label, target = match.groups()
        found.append(Span("plain", flowing[end : match.start()]))
        if label is not None:
            is_section = target.startswith("#")
            found.append(Span("link", label.strip("`"), target[1:]) if is_section else Span("plain", label.strip("`")))
        else:
            found.append(Span("strong", strong) if code is None else Span("code", code))
        end = match.end()
    found.append(Span("plain", flowing[end:]))
    return tuple(span for span in found if span.text)


@cache
def _sections() -> dict[str, str]:
    text = next((file.read_text() for file in _FILES if file.is_file()), "")
    _, *parts = _HEADING.split(text)
    names = [name.strip().lower().replace(" ", "-") for name in parts[::2]]  # as links have them
    return dict(zip(names, map(str.strip, parts[1::2]), strict=True))
