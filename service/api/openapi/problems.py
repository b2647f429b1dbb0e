"""Refusals, described once for each status: ours as problem documents, those below ``/fal`` as fal has them."""

from collections.abc import Iterator
from typing import Any, Final

from service.api.fal.addresses import PREFIX
from service.api.fal.openapi import ERROR_EXAMPLES, ERRORS, error_schema
from service.api.http.responses import PROBLEM_JSON
from service.api.openapi import headers
from service.api.schemas import SCHEMA_REFERENCE, TITLES, BudgetProblem, Problem
from service.errors import GatewayError

_BUDGET: Final = {
    "scope": "tenant_month",
    "limit": "100.000000",
    "available": "0.420000",
    "estimated": "1.512000",
    "resets_at": "2026-02-01T00:00:00.000Z",
}
_MAX_COST: Final = {
    "scope": "request",
    "limit": "1.000000",
    "available": "1.000000",
    "estimated": "1.512000",
    "resets_at": None,
}
_FAULTS: Final = {"errors": [{"pointer": "/duration", "detail": "must be one of 4, 5", "type": "not_entitled"}]}
#: Members that come with a code.
_MEMBERS: Final[dict[str, dict[str, Any]]] = {
    "budget_exceeded": _BUDGET,
    "max_cost_exceeded": _MAX_COST,
    "tenant_busy": {"in_flight": 3, "webhooks": 1},
    "invalid": _FAULTS,
}
_BROKEN: Final = "500"


def refer(path: str, operation: dict[str, Any]) -> None:
    """Put references in the refusals' places; a 500 is one of every operation's."""
    answers = operation["responses"]
    fals = path.startswith(f"{PREFIX}/")
    if not fals and "application/json" in answers.get("422", {}).get("content", {}):
        del answers["422"]  # FastAPI's own idea of a validation error
    answers.setdefault(_BROKEN, {})
    for status in [status for status in answers if status >= "400"]:
        if fals or status == _BROKEN or PROBLEM_JSON in answers[status].get("content", {}):
            answers[status] = {"$ref": f"#/components/responses/{_name(status, fals=fals)}"}


def components(schemas: dict[str, Any]) -> dict[str, Any]:
    """The responses referred to; what they refer to goes to the schemas."""
    for model in (Problem, BudgetProblem):
        schemas[model.__name__] = model.model_json_schema(ref_template=SCHEMA_REFERENCE)
        schemas.update(schemas[model.__name__].pop("$defs", {}))
    schemas.update(error_schema())
    fals = {_name(str(status), fals=True): _fals_refusal(str(status)) for status in ERRORS}
    return {_name(str(status), fals=False): _refusal(status) for status in sorted(TITLES)} | fals


def _name(status: str, *, fals: bool) -> str:
    return f"{'FalError' if fals else 'Problem'}{status}"


def _refusal(status: int) -> dict[str, Any]:
    errors = {error.code: error for error in _family(GatewayError) if error.status == status}
    base = BudgetProblem if status == 402 else Problem
    own = {"properties": {"status": {"const": status}, "code": {"enum": list(errors)}}}
    content = {
        "schema": {"allOf": [{"$ref": SCHEMA_REFERENCE.format(model=base.__name__)}, own]},
        "examples": {code: {"value": _example(error)} for code, error in errors.items()},
    }
    return {
        "description": TITLES[status],
        "headers": headers.of_refusal(str(status)),
        "content": {PROBLEM_JSON: content},
    }


def _fals_refusal(status: str) -> dict[str, Any]:
    examples = {name: {"value": value} for name, value in ERROR_EXAMPLES[int(status)].items()}
    return {
        "description": ERRORS[int(status)],
        "headers": headers.of_fals_refusal(status),
        "content": {
            "application/json": {"schema": {"$ref": SCHEMA_REFERENCE.format(model="FalError")}, "examples": examples}
        },
    }


def _example(error: type[GatewayError]) -> dict[str, Any]:
    return {
        "type": f"urn:seedance-gateway:error:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": f"{error.title}: what was wrong with this call, in a sentence.",
        "instance": "/v1/generations",
        "code": error.code,
        "retryable": error.retryable,
        "request_id": headers.COMPONENTS["X-Request-Id"]["example"],
        **_MEMBERS.get(error.code, {}),
    }


def _family(error: type[GatewayError]) -> Iterator[type[GatewayError]]:
    yield error
    for child in error.__subclasses__():
        if child.__module__ == GatewayError.__module__:
            yield from _family(child)
