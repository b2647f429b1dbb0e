"""Operations of clients: when each began and ended, what was asked, and what the response showed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from service.domain.status import PUBLIC_TERMINAL

Action = Literal["create", "read", "list", "cancel", "usage"]


@dataclass(frozen=True, slots=True)
class View:
    """A generation, as a response or a webhook shows it."""

    id: str
    status: str
    cost: str | None = None
    error: str | None = None
    prompt: str = ""

    @property
    def is_ended(self) -> bool:
        return self.status in PUBLIC_TERMINAL

    @property
    def state(self) -> tuple[str, str | None, str | None]:
        """What an end fixes."""
        return self.status, self.cost, self.error


@dataclass(frozen=True, slots=True)
class Budget:
    """A budget window in US dollars. ``limit`` None: no limit."""

    limit: Decimal | None
    held: Decimal
    spent: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A request and its response."""

    client: str
    """The credential. Generations and idempotency keys are those of its tenant."""
    action: Action
    began: float
    ended: float
    answer: int | None
    """The status of the response; None: no response, so that the request may take effect at any time, or never."""
    key: str | None = None
    """The idempotency key of a create."""
    prompt: str = ""
    """Of a create."""
    subject: str | None = None
    """The generation that is read or canceled."""
    views: tuple[View, ...] = ()
    budget: Budget | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A webhook that a receiver got."""

    webhook_id: str
    view: View


@dataclass(slots=True)
class History:
    """Operations in the order of their ends. Clients in several threads may add to it."""

    operations: list[Operation] = field(default_factory=list)

    def ids(self) -> list[str]:
        """Return the generations that responses have shown, in the order of their first appearance."""
        return list(dict.fromkeys(view.id for operation in list(self.operations) for view in operation.views))


def view_of(body: Mapping[str, Any]) -> View:
    """Read a generation of the API."""
    error = body["error"]
    return View(
        body["id"],
        body["status"],
        body["cost"]["actual"],
        None if error is None else error["code"],
        body["input"].get("prompt") or "",
    )


def budget_of(body: Mapping[str, Any]) -> Budget:
    """Read the budget of the month from the response of ``GET /v1/me``."""
    month = body["month"]
    limit = month["limit"]
    return Budget(None if limit is None else Decimal(limit), Decimal(month["held"]), Decimal(month["spent"]))


def events_of(received: Iterable[Any]) -> list[Event]:
    """Read the webhooks about generations that a ``Receiver`` got."""
    return [
        Event(one.headers["webhook-id"], view_of(one.json["data"]))
        for one in list(received)
        if one.json["type"].startswith("generation.")
    ]
