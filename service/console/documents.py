"""Sections of the runbook, which comes with this release."""

import re
from functools import cache
from pathlib import Path
from typing import Final

import service
from service.errors import NotFound

_PACKAGE: Final = Path(service.__file__).parent
#: In a wheel, and in a checkout.
_FILES: Final = (_PACKAGE / "documents/runbook.md", _PACKAGE.parent / "docs/runbook.md")
_HEADING: Final = re.compile(r"^## (.+)$", re.MULTILINE)


def runbook_section(name: str) -> str:
    """Return the text of a section. Raises NotFound."""
    found = _sections().get(name)
    if found is None:
        raise NotFound("The runbook has no such section.")
    return found


@cache
def _sections() -> dict[str, str]:
    text = next((file.read_text() for file in _FILES if file.is_file()), "")
    _, *parts = _HEADING.split(text)
    return {name.strip(): body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}
