"""Replies in the model, in a hashable form, and the values that they stand for, as the store and fal return them."""

from dataclasses import dataclass
from typing import Any

from service.domain.billing import BillingEvent
from service.domain.generation import StoredVideo
from service.errors import RequestIdTaken
from service.store.generations.generations import Moved
from tests.model import fal
from tests.model.times import moment
from tests.model.world import Record


@dataclass(frozen=True, slots=True)
class Written:
    """The reply to a save or finish."""

    won: bool
    record: Record
    callback_waits: bool = False


@dataclass(frozen=True, slots=True)
class Loaded:
    """The reply to a read of records; ``callback``: of the only one."""

    records: tuple[Record | None, ...]
    callback: str | None = None
    job: int = 0
    with_callback: bool = False


@dataclass(frozen=True, slots=True)
class Billed:
    """fal's billing events: of each job that fal has billed, its number and the tick."""

    jobs: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Taken:
    """The reply to a save with the request id of another generation."""


def decode(token: Any) -> Any:  # noqa: PLR0911  (one return per kind of reply)
    """Return the value that a process receives. An exception is raised there."""
    match token:
        case Written(won, record, callback_waits):
            return Moved(won, record.generation, callback_waits=callback_waits)
        case Loaded((record,), state, number, with_callback):
            g = None if record is None else record.generation
            callback = None if state is None else fal.callback(number, 1, _any(state))
            return (g, callback) if with_callback else g
        case Billed(jobs):
            return [BillingEvent(fal.request_id(number, 1), moment(at)) for number, at in jobs]
        case Taken():
            return RequestIdTaken("taken")
        case type():
            return token("unavailable")
        case ("accepted", int(number), int(submits)):
            return fal.accepted(number, submits)
        case (str(wire), int(), int()):
            return fal.WIRES[wire]
        case "video":
            return StoredVideo("path", 7, "ab")
        case tuple() if any(isinstance(one, Record) for one in token):
            return [None if one is None else one.generation for one in token]
    return token


def _any(value: object) -> Any:
    return value
