"""The result of one check of the doctor: its status, its cause, and what to do."""

from dataclasses import dataclass
from enum import StrEnum


class CheckStatus(StrEnum):
    OK = "ok"
    WARN = "warn"
    """It works, and an operator should know or decide something."""
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """``detail`` and ``remedy`` are for operators and hold no secret. A finding that is not ok has a remedy."""

    check: str
    status: CheckStatus
    detail: str
    remedy: str = ""


def ok(check: str, detail: str) -> Finding:
    return Finding(check, CheckStatus.OK, detail)


def warn(check: str, detail: str, remedy: str) -> Finding:
    return Finding(check, CheckStatus.WARN, detail, remedy)


def fail(check: str, detail: str, remedy: str) -> Finding:
    return Finding(check, CheckStatus.FAIL, detail, remedy)
