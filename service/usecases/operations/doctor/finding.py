"""One line of the doctor's: what was looked at, how it is, what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class CheckStatus(StrEnum):
    OK = "ok"
    WARN = "warn"
    """It works, and something is to be known or decided."""
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """``told`` and ``remedy`` are for people and hold no secret."""

    check: str
    verdict: CheckStatus
    told: str
    remedy: str = ""


def ok(check: str, told: str) -> Finding:
    return Finding(check, CheckStatus.OK, told)


def warn(check: str, told: str, remedy: str) -> Finding:
    return Finding(check, CheckStatus.WARN, told, remedy)


def fail(check: str, told: str, remedy: str) -> Finding:
    return Finding(check, CheckStatus.FAIL, told, remedy)
