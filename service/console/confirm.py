"""The page before an action: what the action does, how much it concerns, and the reason that it needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from service.console.visit import Page


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    action: str
    """Path of the action below ``/console``."""
    button: str
    back: str
    """Path of the page that "Cancel" leads to."""
    effects: Sequence[str] = ()
    """One sentence each: what happens, and who is informed."""
    facts: Sequence[tuple[str, Any]] = ()
    """How many, the oldest, the newest, the cost."""
    changes: Sequence[tuple[str, str, str]] = ()
    """Name, value before and value after of each field that the action changes."""
    hidden: Sequence[tuple[str, str]] = ()
    """Fields that the action receives with the reason."""
    is_dangerous: bool = False


def confirmation_page(title: str, confirmation: Confirmation, *, parents: tuple[tuple[str, str], ...] = ()) -> Page:
    return Page("confirm.html", title, {"confirmation": confirmation}, parents=parents)
