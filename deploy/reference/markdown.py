"""Markdown: tables and pages."""

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(text) for text in line) + " |" for line in lines)


def page(*parts: str) -> str:
    """Join paragraphs, headings and tables with blank lines between them."""
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
