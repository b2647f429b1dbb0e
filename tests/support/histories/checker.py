"""The checker: what a history of operations, webhooks and submits violates.

It compares operations only where one ended before the other began: concurrent ones may take effect in any order. An
operation without a response, or with a 5xx, may take effect at any time after its begin, or never.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from math import inf
from typing import Final

from service.domain.status import PUBLIC, TRANSITIONS
from tests.support.histories.operations import Event, Operation, View

#: Refusals that say nothing about the request: the client sends it again.
_RETRIABLE: Final = frozenset({408, 425, 429})


def violations(
    operations: Sequence[Operation],
    events: Sequence[Event] | None = None,
    submits: Sequence[str] = (),
    *,
    failover_at: float = -inf,
) -> list[str]:
    """Return the violations, none if the history is right.

    ``events``: all webhooks of all generations that have ended; None: they are not checked. ``submits``: the prompts
    of the submits that fal has accepted. ``failover_at``: a status that was first shown before that moment may be taken
    back. Reads do not wait for replicas, so that they show a write whose writer still waits for them.
    """
    found = [
        *_creates(operations),
        *_jobs(operations, submits),
        *_reads(operations),
        *_statuses(operations, failover_at),
        *_cancels(operations, events or ()),
        *_budgets(operations),
    ]
    return found if events is None else [*found, *_ends(operations, events)]


def _creates(operations: Sequence[Operation]) -> Iterator[str]:
    """Creates of a key are linearizable: one generation, and no refusal after it was accepted."""
    by_key = defaultdict(list)
    for one in operations:
        if one.action == "create" and one.key is not None:
            by_key[one.client, one.key].append(one)
    for (_, key), creates in by_key.items():
        accepted = [one for one in creates if one.views]
        if len(found := {one.views[0].id for one in accepted}) > 1:
            yield f"key {key!r} has created {len(found)} generations: {sorted(found)}"
        bound_at = min((one.ended for one in accepted), default=float("inf"))
        for one in creates:
            is_refusal = one.answer is not None and 400 <= one.answer < 500 and one.answer not in _RETRIABLE
            if is_refusal and one.began > bound_at:
                yield f"key {key!r} was accepted, and then refused with {one.answer}"


def _jobs(operations: Sequence[Operation], submits: Sequence[str]) -> Iterator[str]:
    """Each intent to create has at most one generation, and fal accepts at most one submit of it."""
    intents: dict[str, set[object]] = defaultdict(set)
    ids: dict[str, set[str]] = defaultdict(set)
    for number, one in enumerate(operations):
        if one.action == "create":
            intents[one.prompt].add(number if one.key is None else (one.client, one.key))
        for view in one.views:
            ids[view.prompt].add(view.id)
    at_fal = Counter(submits)
    for prompt, of_prompt in intents.items():
        if len(ids[prompt]) > len(of_prompt):
            yield f"{len(of_prompt)} creates of {prompt!r} have made {len(ids[prompt])} generations"
        if at_fal[prompt] > len(of_prompt):
            yield f"{len(of_prompt)} creates of {prompt!r} have made {at_fal[prompt]} jobs at fal"


def _reads(operations: Sequence[Operation]) -> Iterator[str]:
    """An accepted generation is found by each read that begins later."""
    accepted: dict[tuple[str, str], float] = {}
    for one in operations:
        if one.action == "create" and one.views:
            name = (one.client, one.views[0].id)
            accepted[name] = min(one.ended, accepted.get(name, one.ended))
    for one in operations:
        found_since = accepted.get((one.client, one.subject or ""), one.began)
        if one.answer == 404 and one.began > found_since:
            yield f"{one.subject} was accepted, and a later {one.action} did not find it"


def _statuses(operations: Sequence[Operation], failover_at: float) -> Iterator[str]:
    """A later view of a generation shows a status that follows the earlier one. An end does not change."""
    spans: dict[str, dict[View, tuple[float, float]]] = defaultdict(dict)
    for one in operations:
        for view in one.views:
            first_end, last_begin = spans[view.id].get(view, (one.ended, one.began))
            spans[view.id][view] = min(first_end, one.ended), max(last_begin, one.began)
    for name, views in spans.items():
        if len(ends := {view.state for view in views if view.is_ended}) > 1:
            yield f"{name} has {len(ends)} ends: {sorted(map(str, ends))}"
        for before, after in permutations(views, 2):
            is_later = failover_at < views[before][0] < views[after][1]
            if is_later and after.status not in _FOLLOWERS[before.status]:
                yield f"{name} was {before.status}, and then {after.status}"


def _cancels(operations: Sequence[Operation], events: Sequence[Event]) -> Iterator[str]:
    """A generation whose cancel was answered "canceled" does not succeed."""
    canceled = {
        one.subject for one in operations if one.action == "cancel" and one.views[:1] and _is_canceled(one.views[0])
    }
    shown = [*(view for one in operations for view in one.views), *(event.view for event in events)]
    for name in sorted({view.id for view in shown if view.status == "succeeded"} & canceled):
        yield f"{name} was canceled, and has succeeded"


def _is_canceled(view: View) -> bool:
    return view.status == "canceled"


def _budgets(operations: Sequence[Operation]) -> Iterator[str]:
    """Each read shows a budget that held and spent money keep."""
    for one in operations:
        budget = one.budget
        if budget is not None and budget.limit is not None and budget.held + budget.spent > budget.limit:
            yield f"a budget of {budget.limit} has {budget.held} held and {budget.spent} spent"


def _ends(operations: Sequence[Operation], events: Sequence[Event]) -> Iterator[str]:
    """Each end has an event with one ``webhook-id``, however often it was delivered, that agrees with the API."""
    ends = {view.id: view for one in operations for view in one.views if view.is_ended}
    delivered: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if event.view.is_ended:
            delivered[event.view.id].append(event)
    for name, end in ends.items():
        webhook_ids = {event.webhook_id for event in delivered[name]}
        if len(webhook_ids) != 1:
            yield f"{name} is {end.status} and has {len(webhook_ids)} webhook ids: {sorted(webhook_ids)}"
        for state in {event.view.state for event in delivered[name]} - {end.state}:
            yield f"{name} is {end.state} in the API and {state} in its event"


def _followers() -> Mapping[str, frozenset[str]]:
    """Return, of each status that callers see, those that they may see later: the closed table of transitions."""
    follow = {status: {status, *exits} for status, exits in TRANSITIONS.items()}
    for _ in follow:
        follow = {status: {after for one in found for after in follow[one]} for status, found in follow.items()}
    public: dict[str, set[str]] = defaultdict(set)
    for status, found in follow.items():
        public[str(PUBLIC[status])] |= {str(PUBLIC[after]) for after in found}
    return {status: frozenset(found) for status, found in public.items()}


_FOLLOWERS: Final = _followers()
