"""The state of the model: what is in Redis, what is at fal, and the processes that are under way.

Everything is immutable and hashable, so that the explorer recognizes a state that it has seen.
They are named tuples, because those are fast to hash and to change.
"""

from typing import Any, Literal, NamedTuple

from service.domain.generation import Generation
from tests.model.processes import Process

FalState = Literal["none", "running", "succeeded", "failed", "canceled"]


class Record:
    """A stored generation. Two records with the same content are the same object, which makes states cheap to hash."""

    __slots__ = ("dumped", "generation")

    def __init__(self, generation: Generation, dumped: bytes) -> None:
        self.generation = generation
        self.dumped = dumped


class Job(NamedTuple):
    """One generation: its keys in Redis, and its job at fal, which the gateway does not see."""

    record: Record | None = None
    """None: not created yet, or purged."""
    is_created: bool = False
    is_answered: bool = False
    """Whether the caller has received the response to its create."""
    callback: str | None = None
    """The stored callback: the state of fal's job that it reports."""
    is_unread: bool = False
    due_dispatch: int | None = None
    claimed_until: int | None = None
    due_poll: int | None = None
    due_sweep: int | None = None
    has_slot: bool = False
    held: int = 0
    spent: int = 0
    request_id: str | None = None
    """In the index of request ids of the deployment."""
    is_given_up: bool = False
    """In the index of generations that ended unconfirmed."""
    is_marked_lost: bool = False
    """In the list of paid and lost generations, for operators."""
    deliveries: int = 0
    """Webhook deliveries in the store."""
    announced: int = 0
    """Deliveries of an end that were made."""
    has_video: bool = False
    """A copy is in the video store."""

    cancel_calls: int = 0
    erasure: Literal["none", "requested", "done"] = "none"

    submits: int = 0
    """Submits that fal took. Each is billed if it succeeds."""
    fal: FalState = "none"
    fal_cancels: bool = False
    fal_called_back: bool = False
    fal_since: int = 0
    """When fal took the job, or ended it."""
    fal_asked_at: int = -1
    """When fal last answered a status call that the job runs."""

    @property
    def generation(self) -> Generation | None:
        return None if self.record is None else self.record.generation

    @property
    def is_ended(self) -> bool:
        return self.record is None or self.record.generation.is_terminal

    @property
    def is_billed(self) -> bool:
        return self.fal == "succeeded"


class Running(NamedTuple):
    """A process under way. ``stopped_with``: the reply with which it has not continued yet."""

    process: Process
    stopped_with: Any = None


class World(NamedTuple):
    now: int
    jobs: tuple[Job, ...]
    running: tuple[Running, ...] = ()
    faults: int = 0
    """Faults that may still happen."""
    budget: int | None = None
    """The tenant's limit of held and spent money."""
    error: str = ""
    """The error with which a process has ended, if it is one that no process may end with."""

    def with_job(self, number: int, job: Job) -> "World":
        return self._replace(jobs=(*self.jobs[:number], job, *self.jobs[number + 1 :]))

    def with_running(self, before: Running | None, after: Running | None) -> "World":
        """Replace a process, start one (``before`` None), or end one (``after`` None)."""
        others = [one for one in self.running if one is not before]
        wanted = others if after is None else [*others, after]
        return self._replace(running=tuple(sorted(wanted, key=lambda one: one.process.number)))

    def with_fault(self) -> "World":
        return self._replace(faults=self.faults - 1)
