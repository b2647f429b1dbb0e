"""Error responses in fal's form."""

from typing import Any

import pytest
from fastapi import Request
from pydantic_core import from_json

from service.api.fal.responses import UnknownRequest, refusal
from service.errors import (
    Conflict,
    FieldError,
    GatewayError,
    IdempotencyMismatch,
    Invalid,
    NotFound,
    OverBudget,
    StoreUnavailable,
    TooMany,
)

REQUEST = Request({"type": "http", "request_id": "r-1", "path": "/fal/queue/x", "headers": []})


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (NotFound("No."), 404, {"detail": "No.", "error_type": "not_found"}),
        (UnknownRequest("No."), 404, {"status": "NOT_FOUND"}),
        (Conflict("No."), 400, {"detail": "No.", "error_type": "conflict"}),
        (GatewayError("Oops."), 500, {"detail": "Oops.", "error_type": "internal"}),
        (
            OverBudget("No.", scope="tenant_month", limit="1", available="0", estimated="2"),
            402,
            {"detail": "No.", "error_type": "budget_exceeded"},
        ),
        (
            Invalid(FieldError("/metadata/a~1b", "bad", "x"), FieldError("", "bad", "y")),
            422,
            {
                "detail": [
                    {"loc": ["body", "metadata", "a/b"], "msg": "bad", "type": "x"},
                    {"loc": ["body"], "msg": "bad", "type": "y"},
                ]
            },
        ),
        (
            IdempotencyMismatch("No."),
            422,
            {"detail": [{"loc": ["header", "idempotency-key"], "msg": "No.", "type": "idempotency_mismatch"}]},
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_response_form(error: GatewayError, status: int, body: Any) -> None:
    answer = refusal(error, REQUEST)
    assert (answer.status_code, from_json(bytes(answer.body))) == (status, body)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-fal-request-id"] == "r-1"
    assert answer.headers.get("x-fal-error-type") == body.get("error_type")


@pytest.mark.parametrize(
    ("error", "seconds"),
    [(TooMany("No.", retry_after=0.2), "1"), (StoreUnavailable("Away."), "2"), (NotFound("No."), None)],
)
def test_response_retry_after(error: GatewayError, seconds: str | None) -> None:
    assert refusal(error, REQUEST).headers.get("retry-after") == seconds
