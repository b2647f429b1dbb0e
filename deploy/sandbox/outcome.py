"""Outcome of a job: the HTTP answer of its result, and its cost.

A model error has a list under `detail`, a platform error a string and an `error_type`; fal has no FAILED state.
"""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

DOCUMENTATION = "https://docs.fal.ai/errors"


@dataclass(frozen=True, slots=True)
class Outcome:
    code: int
    body: Any
    units: Decimal = Decimal(0)
    unit_price: Decimal = Decimal(0)
    error_type: str | None = None  # set for platform errors only
    immediate: bool = False  # refused before any work, so the job ends at once
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return self.code < 300

    @property
    def message(self) -> str:
        detail = self.body.get("detail")
        return detail if isinstance(detail, str) else f"Invalid status code: {self.code}"

    def at_once(self) -> "Outcome":
        return replace(self, immediate=True)


def detail(
    kind: str, message: str, loc: tuple[str | int, ...], *, ctx: dict[str, Any] | None = None, given: Any = None
) -> dict[str, Any]:
    entry: dict[str, Any] = {"loc": list(loc), "msg": message, "type": kind, "url": f"{DOCUMENTATION}#{kind}"}
    if ctx:
        entry["ctx"] = ctx
    if given is not None:
        entry["input"] = given
    return entry


def model_error(*details: dict[str, Any], code: int = 422) -> Outcome:
    return Outcome(code, {"detail": list(details)})


def platform_error(code: int, error_type: str, message: str, **headers: str) -> Outcome:
    body = {"detail": message, "error_type": error_type}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Outcome(code, body, error_type=error_type, headers={"x-fal-error-type": error_type, **named})


def path_not_found(path: str) -> Outcome:
    return Outcome(404, {"detail": f"Path /{path} not found"}, immediate=True)


def cancelled() -> Outcome:
    return platform_error(499, "client_cancelled", "Request cancelled by the client.")


def start_deadline_passed() -> Outcome:
    return platform_error(504, "request_timeout", "Request timed out", x_fal_request_timeout_type="user")
