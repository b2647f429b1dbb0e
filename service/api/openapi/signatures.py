"""What a route's signature implies: its body, and the errors of its dependencies."""

from collections.abc import Iterator
from typing import Any, Final

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from service.api.http.dependencies import AnyKey, ApiKey, JsonBody, OperatorToken, OptionalJsonBody
from service.api.schemas import body_of, problems

_BODY: Final = (400, 408, 413, 415, 422)
_PATH: Final = (404,)
_QUERY: Final = (422,)


def complete(route: APIRoute) -> None:
    """Add body and errors to a route that authenticates its caller in its signature. Named ones stay as they are."""
    inner = list(_dependants(route.dependant))
    calls = [dependant.call for dependant in inner]
    errors = set(_callers_errors(calls))
    if not errors:
        return
    for body in (call for call in calls if isinstance(call, JsonBody)):
        errors.update(_BODY)
        described = body_of(body.model, required=not isinstance(body, OptionalJsonBody))
        route.openapi_extra = {**described, **(route.openapi_extra or {})}
    errors.update(_PATH if route.param_convertors else ())
    errors.update(_QUERY)
    route.responses = {**problems(*sorted(errors)), **route.responses}


def _callers_errors(calls: list[Any]) -> Iterator[int]:
    for call in calls:
        if isinstance(call, ApiKey):
            yield from (401, 403, 429, 503)
        elif isinstance(call, AnyKey):
            yield from (401, 429, 503)
        elif isinstance(call, OperatorToken):
            yield from (401, 403, 503)


def _dependants(dependant: Dependant) -> Iterator[Dependant]:
    for inner in dependant.dependencies:
        yield inner
        yield from _dependants(inner)
