"""Query parameters: a route refuses those that it does not have, and those that are repeated.

An ignored filter would return other entries than the caller means. The API of fal ignores what it does not know, so
the routes below ``/fal`` are not checked.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, get_args, get_origin
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from service.errors import FieldError, Invalid

#: Faults of one query that are listed. A head has room for thousands of parameters.
_MOST_FAULTS: Final = 20
_LONGEST_NAME: Final = 64
_MEMBER: Final = re.compile(r"(\w+)\[(.+)\]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Parameters:
    names: frozenset[str]
    lists: frozenset[str]
    """Names that may be repeated."""
    objects: frozenset[str]
    """Names of objects: ``metadata`` stands for all parameters like ``metadata[order]``."""


_KNOWN: Final[dict[str, _Parameters]] = {}
"""Parameters by route: found at the first query, since the walk through a signature takes longer than the check."""


def check_query(request: Request, *, also: str = "") -> None:
    """Check the names in the query string. Raises Invalid: one fault for each unknown or repeated parameter.

    ``also``: a parameter that the route reads itself.
    """
    query = request.scope["query_string"]
    if not query:
        return
    known, counts = _parameters(request.scope["route"]), dict[str, int]()
    for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        counts[name] = counts.get(name, 0) + 1
    counts.pop(also, None)
    if faults := list(_faults(counts, known)):
        raise Invalid(*faults[:_MOST_FAULTS])


def _faults(counts: dict[str, int], known: _Parameters) -> Iterator[FieldError]:
    for name, count in counts.items():
        if name not in known.names and _object_of(name)[0] not in known.objects:
            yield FieldError(_pointer(name), "unknown parameter", "extra_forbidden")
        elif count > 1 and name not in known.lists:
            yield FieldError(_pointer(name), "must be given once", "repeated")


def _pointer(name: str) -> str:
    return "/query/" + name[:_LONGEST_NAME].replace("~", "~0").replace("/", "~1")


def _parameters(route: APIRoute) -> _Parameters:
    known = _KNOWN.get(route.unique_id)
    if known is None:
        fields = list(_fields(route.dependant))
        known = _KNOWN[route.unique_id] = _Parameters(
            names=frozenset(field.alias for field in fields),
            lists=frozenset(field.alias for field in fields if _is_list(field.field_info.annotation)),
            objects=frozenset(_documented_objects(route)),
        )
    return known


def _documented_objects(route: APIRoute) -> Iterator[str]:
    for parameter in (route.openapi_extra or {}).get("parameters", ()):
        if parameter["in"] == "query" and parameter.get("style") == "deepObject":
            yield parameter["name"]


def object_parameter(request: Request, name: str) -> list[tuple[str, str]]:
    """Return the pairs of an object in the query string: ``[("order", "7")]`` of ``metadata[order]=7``."""
    pairs = ((_object_of(key), value) for key, value in request.query_params.multi_items())
    return [(member, value) for (found, member), value in pairs if found == name]


def _object_of(name: str) -> tuple[str, str]:
    """Return ``("metadata", "order")`` for ``metadata[order]``; two empty texts if the name has another form."""
    found = _MEMBER.fullmatch(name)
    return (found[1], found[2]) if found else ("", "")


def _fields(dependant: Dependant) -> Iterator[Any]:
    """Yield the query parameters in the signatures of the endpoint and of its dependencies."""
    yield from dependant.query_params
    for inner in dependant.dependencies:
        yield from _fields(inner)


def _is_list(annotation: Any) -> bool:
    return any(get_origin(part) in (list, set, tuple) for part in (annotation, *get_args(annotation)))
