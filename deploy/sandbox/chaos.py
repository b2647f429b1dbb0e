"""Faults for all jobs, independent of the prompt. `POST /_sandbox/faults` replaces all current faults.

{"submit": {"kind": "lost-answer", "probability": 0.3, "times": 5}, "status": [{"kind": "slow", "seconds": 2}]}
The first fault of a list that applies wins. `account` applies to every authenticated call, whatever the operation.
`packed`, `huge` and `endless` carry the request out and answer with 256 MB in 260 kB of gzip, with 64 MB, or with
bytes that do not end.
"""

import random
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

HttpOperation = Literal["submit", "status", "result", "cancel", "media", "storage", "keys", "billing", "account"]
Operation = Literal["submit", "status", "result", "cancel", "media", "storage", "keys", "billing"]

HttpKind = Literal[
    "429",
    "500",
    "503",
    "html-502",
    "locked",
    "unauthorized",
    "lost-answer",
    "reset",
    "slow",
    "packed",
    "huge",
    "endless",
]
WebhookKind = Literal["lost", "double", "late", "forged", "null-payload"]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) else value


class Fault(BaseModel):
    model_config = ConfigDict(extra="forbid")

    probability: float = Field(default=1, ge=0, le=1)
    times: int | None = Field(default=None, ge=0)  # remaining times the fault applies; None: no limit
    seconds: float = Field(default=5, ge=0)  # real seconds, for `slow` and `late`

    def strikes(self) -> bool:
        if self.times == 0 or random.random() >= self.probability:
            return False
        if self.times:
            self.times -= 1
        return True


class HttpFault(Fault):
    kind: Annotated[HttpKind, BeforeValidator(_as_text)]


class WebhookFault(Fault):
    kind: WebhookKind


HttpFaults = Annotated[list[HttpFault], BeforeValidator(_as_list)]
WebhookFaults = Annotated[list[WebhookFault], BeforeValidator(_as_list)]


class Faults(BaseModel):
    model_config = ConfigDict(extra="forbid")

    submit: HttpFaults = []
    status: HttpFaults = []
    result: HttpFaults = []
    cancel: HttpFaults = []
    media: HttpFaults = []
    storage: HttpFaults = []
    keys: HttpFaults = []
    billing: HttpFaults = []
    account: HttpFaults = []
    webhook: WebhookFaults = []


class Chaos:
    def __init__(self) -> None:
        self.faults = Faults()

    def clear(self) -> None:
        self.faults = Faults()

    def draw(self, operation: HttpOperation) -> HttpFault | None:
        faults: list[HttpFault] = getattr(self.faults, operation)
        return next((fault for fault in faults if fault.strikes()), None) if faults else None

    def draw_webhook(self) -> WebhookFault | None:
        return next((fault for fault in self.faults.webhook if fault.strikes()), None)
