"""What an error says in every dialect: status, code, one sentence, and the name of the field.

A dialect names fields differently from ``/v1``. Its route notes the names, because errors are raised deep in use cases.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fastapi import Request
from starlette.types import Scope

from service.errors import FieldError, GatewayError, Invalid

#: Scope key: the caller's names of fields by those of ``/v1``.
_NAMES: Final = "gateway.field_names"
#: The fields of errors that concern one field and carry no ``FieldError``.
_FIELDS: Final = {
    "model_not_found": "model",
    "model_forbidden": "model",
    "max_cost_exceeded": "max_cost_usd",
    "end_user_blocked": "end_user_id",
    "end_user_limited": "end_user_id",
    "idempotency_mismatch": "Idempotency-Key",
}
_PARTS: Final = ("query", "header")


@dataclass(frozen=True, slots=True)
class Refusal:
    status: int
    code: str
    """The stable code of the error, as in problem documents."""
    message: str
    param: str | None
    """The field, parameter or header, by the caller's name, with dots between its parts."""


def note_names(scope: Scope, names: Mapping[str, str]) -> None:
    """Note how the caller has named fields of ``/v1``, for errors of this request.

    A key is the name of a field, or of an entry of a list such as ``image_urls/2``.
    """
    scope[_NAMES] = names


def explain(error: GatewayError, request: Request) -> Refusal:
    """Return what the error says. A 409 that no repeat resolves becomes 400, because clients repeat after a 409."""
    names: Mapping[str, str] = request.scope.get(_NAMES, {})
    status = 400 if error.status == 409 and not error.retryable else error.status
    if isinstance(error, Invalid):
        faults = [(_param(fault, names), fault.detail) for fault in error.errors]
        message = "; ".join(text if param is None else f"{param}: {text}" for param, text in faults)
        return Refusal(status, error.code, message, faults[0][0] if faults else None)
    return Refusal(status, error.code, error.detail, _named(_FIELDS.get(error.code), names))


def _param(fault: FieldError, names: Mapping[str, str]) -> str | None:
    steps = [step.replace("~1", "/").replace("~0", "~") for step in fault.pointer.split("/")[1:]]
    if len(steps) > 1 and steps[0] in _PARTS:
        steps = steps[1:]
    for length in (2, 1):  # an entry of a list can have its own name
        if (given := names.get("/".join(steps[:length]))) is not None:
            return ".".join([given, *steps[length:]])
    return ".".join(steps) or None


def _named(field: str | None, names: Mapping[str, str]) -> str | None:
    return None if field is None else names.get(field, field)
