"""Replays paths of the model through the real scripts on a real Redis, and compares state and reply after each call.

So the store of the model and the scripts cannot part: a path contains the calls of the use cases with their values, and
the stores of the gateway perform them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from service.domain.work_queue import WorkQueue
from service.errors import RequestIdTaken
from service.runtime.stores import Stores
from service.store.generations.creation import Bound, Created, OverBudget
from service.store.generations.generations import Moved
from service.store.redis.client import Redis
from tests.model import fal
from tests.model.creates import TENANT
from tests.model.explorer import Path
from tests.model.replies import decode
from tests.model.state import difference, read_state, state_of
from tests.model.steps import CLAIMS, LOST, Steps, due_since
from tests.model.store import Operation
from tests.model.times import TICK, moment, tick_at
from tests.model.world import World
from tests.support import factories

#: Calls of the model that are no calls of the store.
_ELSEWHERE: Final = ("videos.", "billing.")
#: More than any path uses: a pace or a limit only delays a claim.
_MANY: Final = 1000


@dataclass
class Size:
    """How much was replayed."""

    paths: int = 0
    steps: int = 0
    operations: int = 0


class Replay:
    """Performs the calls of paths with the real stores."""

    def __init__(self, stores: Stores, redis: Redis, model: Steps) -> None:
        self._stores = stores
        self._redis = redis
        self._model = model
        self.size = Size()

    async def path(self, path: Path) -> None:
        """Replay a path on an empty Redis.

        Raises:
            AssertionError: the state in Redis or a reply differs from the model's.

        """
        self.size.paths += 1
        for taken, operations in enumerate(self._operations(path)):
            self.size.steps += 1
            for operation in operations:
                self.size.operations += 1
                found, expected = await self._perform(operation), _expected(operation)
                context = f"{operation.call.name}, after {[step.label for step in path[:taken]]}"
                assert found == expected, f"reply {found}, in the model {expected}: {context}"
                state, of_model = await read_state(self._redis, self._model.names), state_of(operation.after)
                assert state == of_model, f"{difference(state, of_model)}: {context}"

    def _operations(self, path: Path) -> Iterator[list[Operation]]:
        """Yield the calls that took effect: those before the first step, then those of each step."""
        journal: list[Operation] = []
        self._model.store.journal = journal
        world = self._model.initial()
        yield journal.copy()
        for step in path:
            journal.clear()
            for found in self._model.steps(world):
                if found == step:
                    break
                journal.clear()
            yield journal.copy()
            world = step.after
        self._model.store.journal = None

    async def _perform(self, operation: Operation) -> Any:
        """Return the reply of the real store, in a form that can be compared."""
        call = operation.call
        if call.name == "generations.create":
            return await self._create(operation)
        if call.name == "callbacks.receive":
            return await self._receive(operation)
        if call.name in {claim.name for claim in CLAIMS.values()}:
            return await self._claim(call.name, moment(operation.at))
        if call.name.startswith(_ELSEWHERE):
            return _expected(operation)
        store, method = call.name.split(".")
        try:
            return _comparable(await getattr(getattr(self._stores, store), method)(*call.values, **call.named))
        except RequestIdTaken:
            return RequestIdTaken

    async def _claim(self, claim: str, now: datetime) -> list[tuple[str, int | None]]:
        """Claim one entry. Return its id, and the tick at which it was due, which a claim of a slot does not say."""
        due, queue = self._stores.due, self._stores.queue
        if claim == "queue.claim":
            taken = (await queue.claim(now=now, most=1, lease=TICK, slots=_MANY)).taken
            return [(item.id, None) for item in taken]
        if claim == "due.claim_polls":
            taken = (await due.claim_polls(now=now, most=1, lease=TICK, per_second=_MANY)).taken
        else:
            taken = (await due.claim(WorkQueue.SWEEP, now=now, most=1, lease=TICK)).taken
        return [(item.id, tick_at(item.due_at)) for item in taken]

    async def _receive(self, operation: Operation) -> str:
        number, now = operation.number, moment(operation.at)
        state = operation.after.jobs[number].fal
        received = await self._stores.callbacks.receive(
            self._model.names[number],
            "token",
            fal.callback(number, 1, state),
            now=now,
            succeeded=state == "succeeded",
        )
        return received.reception

    async def _create(self, operation: Operation) -> str:
        """A repeated create has an id of its own."""
        g, due = operation.call.values
        sent = (
            g
            if operation.reply != "replayed"
            else factories.generation(
                tenant_id=TENANT, idempotency_digest=g.idempotency_digest, fingerprint=g.fingerprint
            )
        )
        match await self._stores.generations.create(sent, due, **operation.call.named):
            case Created():
                return "created"
            case Bound(existing, same=True) if existing == g.id:
                return "replayed"
            case OverBudget():
                return "over budget"
            case other:
                return repr(other)


def is_replayable(path: Path, initial: World) -> bool:
    """Return whether each claim claims the entry that is due first, as the scripts do: the model claims any.

    Ids of deliveries are equal in the model, so that two ends of two generations are one delivery.
    """
    for before, step in zip((initial, *(one.after for one in path)), path, strict=False):
        if step.label.startswith("claim "):
            kind, number = step.label.removesuffix(LOST).split()[1:]
            due = {n: since for n in range(len(before.jobs)) if (since := due_since(before, n, kind)) is not None}
            if int(number) != min(due, key=lambda n: (due[n], n)):
                return False
    return not path or sum(job.deliveries for job in path[-1].after.jobs) < 2


def _expected(operation: Operation) -> Any:
    match operation.call.name:
        case "generations.create" | "callbacks.receive":
            return operation.reply
        case "queue.claim" | "due.claim_polls" | "due.claim":
            return [(_name(operation), operation.reply)]
        case "deliveries.delete":
            return None
    value = decode(operation.reply)
    return RequestIdTaken if isinstance(value, RequestIdTaken) else _comparable(value)


def _name(operation: Operation) -> str:
    record = operation.after.jobs[operation.number].record
    assert record is not None
    return record.generation.id


def _comparable(value: Any) -> Any:
    """Return a reply without its nudges, which the model omits, and as a list where only the members matter."""
    if isinstance(value, Moved):
        return replace(value, nudges=()) if value.won else (False, value.callback_waits)
    return list(value) if isinstance(value, (tuple, set, frozenset)) else value
