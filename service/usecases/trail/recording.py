"""The act that is being recorded, for use cases that add facts to it: the same from the API, the CLI and the console.

Without a current act, as in a worker, nothing is recorded.
"""

from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from service.domain.actor import Actor
from service.domain.trail import Changes, changes_between

_LONGEST_FACT: Final = 500


@dataclass(slots=True, kw_only=True)
class Act:
    """An act that has begun. Its entry is appended at its end."""

    id: str
    at: datetime
    actor: Actor
    action: str
    target: str | None
    tenant_id: str | None
    reason: str | None
    changes: Changes = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


_CURRENT: ContextVar[Act | None] = ContextVar("act", default=None)


def set_current(act: Act | None) -> None:
    _CURRENT.set(act)


def current_actor() -> Actor:
    """Return who acts. Raises LookupError outside an act."""
    act = _CURRENT.get()
    if act is None:
        raise LookupError("no act is being recorded")
    return act.actor


def note_change(before: object | None, after: object | None, *, target: str | None = None, part: str = "") -> None:
    """Record what differs between two versions of a dataclass; None: it did not exist, or does no longer.

    ``part``: before the names of its fields, where an act changes two objects.
    """
    act = _CURRENT.get()
    if act is not None:
        act.changes |= {f"{part}{name}": change for name, change in changes_between(before, after).items()}
        act.target = target or act.target


def note_values(**values: tuple[str | float | bool | None, str | float | bool | None]) -> None:
    """Record single values before and after, where an act changes them. No secret, and no data of a person."""
    act = _CURRENT.get()
    if act is not None:
        act.changes |= {name: pair for name, pair in values.items() if pair[0] != pair[1]}


def note_target(target: str, *, tenant_id: str | None = None) -> None:
    """Record the id of what is acted on, where the caller could not know it."""
    act = _CURRENT.get()
    if act is not None:
        act.target, act.tenant_id = target, tenant_id or act.tenant_id


def note_reason(reason: str | None) -> None:
    act = _CURRENT.get()
    if act is not None and reason is not None:
        act.reason = reason


def note(**facts: str | float | bool | None) -> None:
    """Record further facts: counts, or conditions of a filter. No secret, and no data of a person."""
    act = _CURRENT.get()
    if act is not None:
        act.facts |= {
            name: value[:_LONGEST_FACT] if isinstance(value, str) else value
            for name, value in facts.items()
            if value is not None
        }
