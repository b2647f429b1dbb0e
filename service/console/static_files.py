"""The style sheet and the script of the console.

The URL of a file has a hash of its content, so that browsers store it for a year. Processes of two releases serve each
other's URLs, with their own content and without storage.
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from service.console.headers import HEADERS
from service.console.visit import link
from service.errors import NotFound

_FOLDER: Final = Path(__file__).parent / "static"
_MEDIA_TYPES: Final = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_HASH_DIGITS: Final = 16


@cache
def _file(name: str) -> tuple[bytes, str]:
    """Return a file and its hash."""
    content = (_FOLDER / name).read_bytes()
    return content, hashlib.sha256(content).hexdigest()[:_HASH_DIGITS]


def static_link(request: Request, name: str) -> str:
    """Return the URL of a file in its present form."""
    return f"{link(request, '/static')}/{name}?v={_file(name)[1]}"


async def static_file(request: Request) -> Response:
    """Return a file. A request can name nothing but the files of the table."""
    name = request.path_params["name"]
    if name not in _MEDIA_TYPES:
        raise NotFound("There is no such file.")
    content, digest = _file(name)
    is_current = request.query_params.get("v") == digest
    caching = "public, max-age=31536000, immutable" if is_current else "no-cache"
    return Response(content, media_type=_MEDIA_TYPES[name], headers={**HEADERS, "cache-control": caching})
