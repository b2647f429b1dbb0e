"""Entity tags of conditional requests (RFC 9110, sections 8.8.3 and 13.1): lists, ``*``, strong and weak comparison."""

import hashlib
import re
from typing import Any, Final

from pydantic_core import to_json
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from service.api.http.responses import JsonResponse

_TAG: Final = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_BETWEEN: Final = " \t,"
ANY: Final = "*"
IF_NONE_MATCH: Final[dict[str, Any]] = {"name": "If-None-Match", "in": "header", "schema": {"type": "string"}}
"""The parameter in the OpenAPI document."""
#: A client may store the response, and has to ask whether it is still current.
_REVALIDATED: Final = "private, no-cache"
_DIGEST_BYTES: Final = 12


def tags_of(value: str) -> frozenset[str] | None:
    """Return the tags in the value of a header, or ``ANY`` alone; None if it is no list of tags."""
    if value.strip() == ANY:
        return frozenset({ANY})
    found = frozenset(match.group() for match in _TAG.finditer(value))
    return found if found and not _TAG.sub("", value).strip(_BETWEEN) else None


def tags_in(headers: Headers, name: str) -> frozenset[str] | None:
    """Return the tags of a header in all its lines: none if they are malformed. None: there is no such header."""
    lines = headers.getlist(name)
    return (tags_of(",".join(lines)) or frozenset()) if lines else None


def is_modified(headers: Headers, etag: str) -> bool:
    """Return whether ``If-None-Match`` does not have the tag."""
    tags = tags_in(headers, "if-none-match")
    return tags is None or not matches_weakly(tags, etag)


def validated_json(request: Request, content: Any) -> Response:
    """Return JSON with an ``ETag``, or 304 if ``If-None-Match`` has the tag.

    The tag is a hash of the JSON, so that a release that adds a field makes a new tag; a version of the record would
    not. It is weak, because compression on the way, here or in a proxy, changes the bytes.
    """
    body = to_json(content)
    etag = f'W/"{hashlib.blake2b(body, digest_size=_DIGEST_BYTES).hexdigest()}"'
    headers = {"etag": etag, "cache-control": _REVALIDATED}
    if not is_modified(request.headers, etag):
        return Response(status_code=304, headers=headers)
    return JsonResponse(body, headers=headers)


def matches_strongly(tags: frozenset[str], etag: str) -> bool:
    """Compare as ``If-Match`` does: a weak tag matches nothing."""
    return ANY in tags or (etag in tags and not etag.startswith("W/"))


def matches_weakly(tags: frozenset[str], etag: str) -> bool:
    """Compare as ``If-None-Match`` does: a weak tag equals the strong one with the same text."""
    return ANY in tags or etag.removeprefix("W/") in {tag.removeprefix("W/") for tag in tags}
