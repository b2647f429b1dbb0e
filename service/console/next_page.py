"""The page to show after a login: a path of this console and nothing else."""

import re
from typing import Final

from service.console.visit import BASE

_LONGEST: Final = 2_000
#: No second slash at the beginning, no backslash and no control character: browsers read those as another host.
_PATH: Final = re.compile(r"/console(?:/[A-Za-z0-9_%~-][A-Za-z0-9._%~-]*)*/?(?:\?[A-Za-z0-9._~%&=+:,;@/\[\]-]*)?")


def checked_next(text: str) -> str:
    """Return the path below the console, "" if the text is anything else."""
    if len(text) > _LONGEST or not _PATH.fullmatch(text):
        return ""
    path = text.removeprefix(BASE)
    return "" if path.startswith(("/login", "/logout", "/static")) else path
