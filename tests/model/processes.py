"""The real use cases as processes that the explorer runs step by step.

A process is one call of ``Dispatch``, ``Poller``, ``DeadlineSweeper``, ``GenerationCanceller`` or ``ErasureJobs``, with
the code of the gateway. Only the border is replaced, the store and fal: each of their methods yields a ``Call``. The
explorer decides when a call takes effect, and its reply.

What a process does next depends only on its replies, and on the time at which it received each. So a process is stored
as its replies, and runs again from its start where the explorer needs its next call. ``Process.next`` makes that rare.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from service.domain.models.registry import build, seed
from service.domain.pricing import Prices, Rates
from service.domain.retry import PollPolicy
from service.store.queues.due import Claimed
from service.usecases.generations.cancel import GenerationCanceller
from service.usecases.lifecycle.dispatch import Dispatch
from service.usecases.lifecycle.jobs import Jobs
from service.usecases.lifecycle.poll_pacer import PollPacer
from service.usecases.lifecycle.poller import Poller
from service.usecases.lifecycle.reconciliation import Reconciliation
from service.usecases.lifecycle.schedule import Schedule
from service.usecases.lifecycle.sweeper import DeadlineSweeper
from service.usecases.lifecycle.transition_service import TransitionService
from service.usecases.lifecycle.video_copier import VideoCopier
from service.usecases.tenants.erasure import ErasureJobs
from tests.model.ports import Call, Constant, Deliveries, Gate, Port, Silence
from tests.model.times import TICK, moment

RATES: Final = Rates({"720p": Decimal("0.014")})
PRICES: Final = Prices([seed()], seed())
MODELS: Final = build()
#: Submits of one generation that fal refuses before the generation fails.
_REFUSALS: Final = 2

SCHEDULE: Final = Schedule(
    polls=PollPolicy(timedelta(seconds=1), timedelta(seconds=20), share=0.1, per_second=1000.0, jitter=0.0),
    submit_lease=timedelta(seconds=30),
    upstream_deadline=2 * TICK,
    unconfirmed_deadline=3 * TICK,
    unconfirmed_slot=TICK,
    retention=timedelta(days=30),
    reconcile_every=TICK,
)


@dataclass(frozen=True)
class Reply:
    """A reply to a call, and the tick at which the process continued. ``token``: a hashable form of the value."""

    token: Any
    at: int


@dataclass(eq=False)
class Process:
    """A process after some replies: what it calls next, or how it ended. There is one object for each series."""

    kind: str
    job: int
    due_at: int
    started_at: int
    number: int
    replies: tuple[Reply, ...] = ()
    call: Call | None = None
    result: Any = None
    error: Exception | None = None
    next: dict[Reply, "Process"] = field(default_factory=dict)


class UseCases:
    """The use cases, with ports at their border, and processes of them."""

    def __init__(self, names: list[str], decode: Callable[[Any], Any]) -> None:
        """``decode``: makes the value that a process receives from the token of a reply. An exception is raised."""
        self._names = names
        self._decode = decode
        self._now = moment(0)
        self._begun: dict[tuple[str, int, int, int], Process] = {}
        self._count = 0

    def begin(self, kind: str, job: int, *, due_at: int = 0, now: int) -> Process:
        """Return a process at its first call."""
        key = (kind, job, due_at, now)
        if key not in self._begun:
            self._begun[key] = self._run(Process(kind, job, due_at, now, self._number()))
        return self._begun[key]

    def resume(self, process: Process, reply: Reply) -> Process:
        """Return the process after one more reply."""
        after = process.next.get(reply)
        if after is None:
            p, replies = process, (*process.replies, reply)
            after = self._run(Process(p.kind, p.job, p.due_at, p.started_at, self._number(), replies))
            process.next[reply] = after
        return after

    def _number(self) -> int:
        self._count += 1
        return self._count

    def _run(self, process: Process) -> Process:
        """Run the process through all its replies."""
        self._now = moment(process.started_at)
        work = self._work(process)
        try:
            process.call = work.send(None)
            for reply in process.replies:
                self._now, value = moment(reply.at), self._decode(reply.token)
                process.call = work.throw(value) if isinstance(value, Exception) else work.send(value)
        except StopIteration as end:
            process.call, process.result = None, end.value
        except Exception as error:  # noqa: BLE001  (the explorer judges it)
            process.call, process.error = None, error
        finally:
            work.close()
        return process

    def _clock(self) -> datetime:
        return self._now

    def _work(self, process: Process) -> Coroutine[Any, Any, Any]:
        """Return a fresh call of a use case: a worker has no memory of earlier work."""
        name = self._names[process.job]
        item = Claimed(name, moment(process.due_at))
        generations: Any = Port("generations")
        constant: Any = Constant()
        pacer = PollPacer(SCHEDULE)
        transitions = TransitionService(
            generations, constant, pacer, _any(Silence()), clock=self._clock, retry_pause=0.0
        )
        match process.kind:
            case "dispatch":
                return self._dispatch(transitions).submit(item)
            case "poll":
                return self._poller(generations, transitions, pacer).poll(item)
            case "sweep":
                return self._sweeper(generations, transitions).sweep(item)
            case "cancel":
                return GenerationCanceller(constant, transitions, clock=self._clock).request(name)
        return self._erasure(generations, transitions)._erase_one(name)

    def _dispatch(self, transitions: TransitionService) -> Dispatch:
        return Dispatch(
            _any(None), _any(Port("callbacks")), transitions, _any(Port("fal")), _any(Gate()), None,
            clock=self._clock, slots=1, ramp=_any(None), refusals=_REFUSALS, public_url="http://gateway.invalid",
        )  # fmt: skip

    def _poller(self, generations: Any, transitions: TransitionService, pacer: PollPacer) -> Poller:
        copier = VideoCopier(
            generations, transitions, _any(Constant()), _any(Port("videos")),
            public_url=None, timeout=TICK, clock=self._clock,
        )  # fmt: skip
        return Poller(
            generations, _any(Port("callbacks")), _any(Port("due")), transitions, _any(Port("fal")), _any(Gate()),
            copier, SCHEDULE, pacer, price_monitor=_any(Constant()), prices=PRICES, clock=self._clock,
        )  # fmt: skip

    def _sweeper(self, generations: Any, transitions: TransitionService) -> DeadlineSweeper:
        submissions: Any = Port("submissions")
        bill = Reconciliation(
            _any(Port("billing")), generations, submissions, transitions, MODELS, PRICES,
            every=TICK, upstream_deadline=SCHEDULE.upstream_deadline, clock=self._clock,
        )  # fmt: skip
        return DeadlineSweeper(
            generations, _any(Deliveries("deliveries")), _any(Port("due")), submissions, _any(Port("videos")),
            transitions, SCHEDULE, bill, Jobs(self._erasure(generations, transitions), *3 * [_any(None)]), _any(None),
            clock=self._clock,
        )  # fmt: skip

    def _erasure(self, generations: Any, transitions: TransitionService) -> ErasureJobs:
        return ErasureJobs(
            _any(None), _any(None), generations, _any(Deliveries("deliveries")), _any(Port("videos")), transitions,
            clock=self._clock,
        )  # fmt: skip


def _any(value: object) -> Any:
    """Return a value for a parameter of another type."""
    return value
