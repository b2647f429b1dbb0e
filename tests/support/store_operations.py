"""Every write of every store, with its expected effect, for tests of a full Redis and of missing replicas."""

import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, Literal

from service.domain.actor import ActorKind
from service.domain.adjustment import Correction
from service.domain.budgets import day
from service.domain.bulk import BulkState
from service.domain.chain import Verified
from service.domain.console_session import ConsoleSession, Subject
from service.domain.generation import Due
from service.domain.measurement import Measurement
from service.domain.webhook_endpoint import Endpoint
from service.domain.work_queue import WorkQueue
from service.runtime.stores import Stores
from service.store.generations.creation import Creation, Refused
from service.store.generations.indexing import Position
from service.store.redis.commands import READS
from service.store.tenants.upload_tickets import UploadTicket
from service.store.webhooks.deliveries import Caps
from service.store.webhooks.endpoints import FailureStage
from service.usecases.webhooks.fanout import test_event as event_of
from tests.support import factories, tokens
from tests.support.factories import NOW
from tests.support.store_world import MINUTE, TODAY, World, bulk_job_of, delivery_to, fresh_endpoint, report

#: When Redis is full: the write ``fits``, or is ``refused``.
WhenFull = Literal["fits", "refused"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One write."""

    run: Callable[[World], Awaitable[Any]]
    when_full: WhenFull = "fits"
    waits: bool = True
    """Whether the write waits for replicas."""


_TICKET: Final = UploadTicket(
    tenant_id="ten_1",
    key_id="key",
    content_type="image/png",
    upload_url="https://a.example",
    file_url="https://a.example",
)
_SUBJECT: Final = Subject(ActorKind.LOCAL, "tester")
_CLIP: Final = Measurement(container="mp4", size=1_000, seconds=Decimal(5), codec="h264")


async def _take_ticket(world: World) -> None:
    assert await world.stores.upload_tickets.take("unknown") is None


async def _create(world: World) -> Creation:
    return await world.stores.generations.create(
        factories.generation(tenant_id=world.tenant.id), factories.due(), call=world.call()
    )


async def _finish(world: World) -> None:
    g = world.submitted
    event = delivery_to(world.endpoint, g)
    end = replace(g.succeeded(factories.output(), 1_000, NOW), deliveries=(event.id,))
    assert (await world.stores.generations.finish(end, Due(sweep=NOW), [event], now=NOW)).won


async def _save(world: World) -> None:
    assert (await world.stores.generations.save(world.queued.submitting(NOW), Due(sweep=NOW))).won


async def _receive(world: World) -> None:
    assert (await report(world.stores, world.submitted)).reception == "accepted"


async def _claim_deliveries(world: World) -> None:
    claim = await world.stores.deliveries.claim(now=NOW + MINUTE, most=10, lease=MINUTE, caps=Caps())
    assert [item.id for item in claim.taken] == [world.pending.id]


async def _read_callback(world: World) -> None:
    _, callback = await world.stores.callbacks.read(world.reported.id)
    assert callback is not None


async def _note_submit(world: World) -> None:
    g = world.queued
    noted = await world.stores.gate.note("locked", "balance", NOW, generation_id=g.id, tenant_id=g.tenant_id)
    assert noted.change == "held"


async def _note_locked_poll(world: World) -> None:
    g = world.submitted
    assert await world.stores.gate.note_locked_poll(
        "balance", NOW, generation_id=g.id, tenant_id=g.tenant_id, sent_at=NOW, enough=1
    )


async def _adjust(world: World) -> None:
    adjusted, _ = await world.stores.adjustments.of_generation(world.ended, Correction(5, "op", "wrong"))
    assert adjusted.result == "adjusted"


async def _adjust_day(world: World) -> None:
    g, correction = world.ended, Correction(5, "op", "wrong")
    adjusted = await world.stores.adjustments.of_day(
        g.tenant_id, g.end_user, day(NOW), correction, expected=g.actual_cost or 0
    )
    assert adjusted.result == "adjusted"


async def _begin_erasure(world: World) -> None:
    begun = await world.stores.erasures.begin(*world.end_user, now=NOW, continued_at=NOW + MINUTE)
    assert begun == "begun"


async def _begin_bulk_job(world: World) -> None:
    assert (await bulk_job_of(world.stores, "gen_3")).state is BulkState.COLLECTING


async def _revive(world: World) -> None:
    moved = await world.stores.generations.revive(
        world.given_up, world.given_up.revived(factories.request_id(), NOW), now=NOW, why="paid"
    )
    assert moved.won


async def _claim_polls_paced(world: World) -> None:
    claim = await world.stores.due.claim_polls(now=NOW + MINUTE, most=10, lease=MINUTE, per_second=100)
    assert world.submitted.id in [item.id for item in claim.taken]


async def _claim_polls(world: World) -> None:
    claim = await world.stores.due.claim(WorkQueue.POLL, now=NOW + MINUTE, most=10, lease=MINUTE)
    assert world.submitted.id in [item.id for item in claim.taken]


async def _claim_slot(world: World) -> None:
    claim = await world.stores.queue.claim(now=NOW + MINUTE, most=10, lease=MINUTE, slots=10)
    assert [item.id for item in claim.taken] == [world.queued.id]


async def _attempt(world: World) -> None:
    failed = world.pending.postponed(factories.attempt(), NOW + MINUTE)
    assert (await world.stores.deliveries.save_attempt(failed, now=NOW, verdict="bad")).won


async def _announce_decline(world: World) -> None:
    after = world.endpoint.disabled_for("failing", NOW)
    announced = await world.stores.endpoints.announce(
        world.endpoint, [], now=NOW, retention=MINUTE, stage=FailureStage(100, after=after)
    )
    assert announced.won


async def _announce_test(world: World) -> None:
    await world.stores.endpoints.announce(world.endpoint, [event_of(world.endpoint, NOW)], now=NOW, retention=MINUTE)


async def _suspend(world: World) -> None:
    assert await world.stores.tenants.update(replace(world.tenant, suspended=True))


async def _revoke(world: World) -> None:
    assert await world.stores.api_keys.update(replace(world.key, revoked_at=NOW))


async def _insert_token(world: World) -> None:
    operator = factories.operator()
    assert await world.stores.operators.insert(operator)
    assert await world.stores.operators.insert_token(factories.operator_token(operator.id)[0])


async def _forget_ended_token(world: World) -> None:
    assert await world.stores.operators.forget_ended_tokens(world.revoked.operator_id, NOW, above=1) == 0


async def _change_endpoint(world: World) -> None:
    assert isinstance(await world.stores.endpoints.put(replace(world.endpoint, description="changed")), Endpoint)


async def _replay_pending(world: World) -> None:
    await world.stores.delivery_log.replay(world.pending, NOW)


async def _purge(world: World) -> None:
    assert await world.stores.generations.purge(world.ended)


async def _extend_report(world: World) -> None:
    report = await world.stores.usage_reports.load(world.tenant.id)
    assert report is not None
    await world.stores.usage_reports.extend(report, now=NOW)


def _receipt(method: str, **more: Any) -> Callable[[World], Awaitable[None]]:
    async def run(world: World) -> None:
        await getattr(world.stores.response_receipts, method)(world.tenant.id, world.queued.id, world.queued.id, **more)

    return run


#: By ``<store>.<method>``, with a distinction after it if a method has more than one use.
OPERATIONS: Final[dict[str, Operation]] = {
    "adjustments.of_generation": Operation(_adjust),
    "adjustments.of_day": Operation(_adjust_day),
    "response_receipts.delivered": Operation(_receipt("delivered")),
    "response_receipts.delivered_unless_repeated": Operation(
        _receipt("delivered_unless_repeated", now=NOW, window=MINUTE)
    ),
    "response_receipts.lost": Operation(_receipt("lost", window=MINUTE)),
    "response_receipts.prolong": Operation(_receipt("prolong", until=NOW + MINUTE, window=MINUTE)),
    "audits.begin": Operation(lambda w: w.stores.audits.begin(NOW)),
    "audits.note": Operation(lambda w: w.stores.audits.note("money", 1, 2)),
    "audits.end": Operation(lambda w: w.stores.audits.end(b"{}", NOW)),
    "callbacks.receive": Operation(_receive),
    "callbacks.read": Operation(_read_callback),
    "callbacks.forget": Operation(lambda w: w.stores.callbacks.forget(w.submitted.id)),
    "deliveries.claim": Operation(_claim_deliveries, waits=False),
    "deliveries.save_attempt": Operation(_attempt),
    "deliveries.purge": Operation(lambda w: w.stores.deliveries.purge(w.tenant.id, [w.dead.id])),
    "deliveries.delete": Operation(lambda w: w.stores.deliveries.delete(w.tenant.id, [w.pending.id])),
    "delivery_log.replay": Operation(lambda w: w.stores.delivery_log.replay(w.dead, NOW), "refused"),
    "delivery_log.replay of a pending one": Operation(_replay_pending),
    "due.claim": Operation(_claim_polls, waits=False),
    "due.claim_polls": Operation(_claim_polls_paced, waits=False),
    "due.flag_hint": Operation(lambda w: w.stores.due.flag_hint(WorkQueue.POLL), waits=False),
    "due.reschedule": Operation(lambda w: w.stores.due.reschedule(WorkQueue.POLL, w.submitted.id, NOW)),
    "due.remove": Operation(lambda w: w.stores.due.remove(WorkQueue.POLL, w.submitted.id)),
    "end_users.block": Operation(lambda w: w.stores.end_users.block(w.tenant.id, "eu_new", NOW)),
    "end_users.unblock": Operation(lambda w: w.stores.end_users.unblock(w.tenant.id, w.queued.end_user)),
    "end_users.forget": Operation(lambda w: w.stores.end_users.forget(w.tenant.id, w.queued.end_user)),
    "endpoints.put": Operation(lambda w: w.stores.endpoints.put(fresh_endpoint(w.tenant)), "refused"),
    "endpoints.put of a known one": Operation(_change_endpoint),
    "endpoints.delete": Operation(lambda w: w.stores.endpoints.delete(w.endpoint)),
    "endpoints.announce": Operation(_announce_test, "refused"),
    "endpoints.announce of a decline": Operation(_announce_decline),
    "erasures.begin": Operation(_begin_erasure),
    "erasures.count": Operation(lambda w: w.stores.erasures.count(*w.end_user, generations=1, in_flight=0, videos=1)),
    "erasures.detach": Operation(lambda w: w.stores.erasures.detach(*w.end_user, [w.queued.id])),
    "erasures.reschedule": Operation(lambda w: w.stores.erasures.reschedule(*w.end_user, NOW)),
    "erasures.end": Operation(lambda w: w.stores.erasures.end(*w.end_user, now=NOW)),
    "gate.note": Operation(_note_submit),
    "gate.note_locked_poll": Operation(_note_locked_poll),
    "gate.note_answered_poll": Operation(lambda w: w.stores.gate.note_answered_poll()),
    "gate.leave": Operation(lambda w: w.stores.gate.leave(w.submitted.id)),
    "gate.pause": Operation(lambda w: w.stores.gate.pause("maintenance", NOW)),
    "gate.drain": Operation(lambda w: w.stores.gate.drain("moving", NOW)),
    "gate.resume": Operation(lambda w: w.stores.gate.resume()),
    "generations.create": Operation(_create, "refused"),
    "generations.save": Operation(_save),
    "generations.finish": Operation(_finish),
    "generations.revive": Operation(_revive),
    "indexing.note": Operation(lambda w: w.stores.indexing.note(None)),
    "indexing.index_some": Operation(lambda w: w.stores.indexing.index_some(Position(w.tenant.id), most=10)),
    "generations.reschedule_poll": Operation(lambda w: w.stores.generations.reschedule_poll(w.submitted.id, NOW)),
    "generations.reschedule_sweep": Operation(lambda w: w.stores.generations.reschedule_sweep(w.submitted, NOW)),
    "generations.purge": Operation(_purge),
    "heartbeats.note_beat": Operation(lambda w: w.stores.heartbeats.note_beat(NOW), waits=False),
    "heartbeats.note_worker": Operation(lambda w: w.stores.heartbeats.note_worker("a:1", ["x"], NOW), waits=False),
    "bulk_jobs.begin": Operation(_begin_bulk_job, "refused"),
    "bulk_jobs.collect": Operation(lambda w: w.stores.bulk_jobs.collect(w.collecting_job, ["gen_1"], after=None)),
    "bulk_jobs.count": Operation(lambda w: w.stores.bulk_jobs.count(w.running_job, done=1, skipped=0, failed=0)),
    "bulk_jobs.end": Operation(lambda w: w.stores.bulk_jobs.end(w.running_job, BulkState.DONE, note="limit", now=NOW)),
    "bulk_jobs.stop": Operation(lambda w: w.stores.bulk_jobs.stop(w.running_job.id, "wrong", now=NOW)),
    "operators.insert": Operation(lambda w: w.stores.operators.insert(factories.operator()), "refused"),
    "operators.insert_token": Operation(_insert_token, "refused"),
    "operators.update": Operation(lambda w: w.stores.operators.update(factories.operator())),
    "operators.update_token": Operation(
        lambda w: w.stores.operators.update_token(factories.operator_token("opr_1")[0])
    ),
    "operators.forget_ended_tokens": Operation(_forget_ended_token),
    "operators.note_use": Operation(
        lambda w: w.stores.operators.note_use(w.revoked.id, "2026-01-31T09:30Z"), waits=False
    ),
    "trail.begin": Operation(lambda w: w.stores.trail.begin("act_1", factories.trail_entry(), share=None)),
    "trail.append": Operation(lambda w: w.stores.trail.append("act_1", factories.trail_entry(), once=False)),
    "trail_checks.take_turn": Operation(lambda w: w.stores.trail_checks.take_turn(MINUTE), waits=False),
    "trail_checks.keep_verified": Operation(
        lambda w: w.stores.trail_checks.keep_verified(Verified(), 0, finished=True), waits=False
    ),
    "prices.count_mismatch": Operation(lambda w: w.stores.prices.count_mismatch("480p")),
    "prices.reset": Operation(lambda w: w.stores.prices.reset("480p")),
    "queue.claim": Operation(_claim_slot, waits=False),
    "rates.check": Operation(lambda w: w.stores.rates.check(w.tenant.id, w.tenant.limits, NOW), waits=False),
    "receivers.failing": Operation(lambda w: w.stores.receivers.failing(NOW, limit=10), waits=False),
    "stored_bytes.take_turn": Operation(lambda w: w.stores.stored_bytes.take_turn(MINUTE), waits=False),
    "stored_bytes.write": Operation(
        lambda w: w.stores.stored_bytes.write({w.tenant.id: 5_000, "ten_gone": 0}), waits=False
    ),
    "submissions.mark_lost": Operation(lambda w: w.stores.submissions.mark_lost(w.given_up.id, NOW)),
    "submissions.unmark_lost": Operation(lambda w: w.stores.submissions.unmark_lost(w.given_up.id)),
    "submissions.trim": Operation(lambda w: w.stores.submissions.trim(NOW), waits=False),
    "tenants.insert": Operation(lambda w: w.stores.tenants.insert(factories.tenant()), "refused"),
    "api_keys.insert": Operation(lambda w: w.stores.api_keys.insert(factories.api_key(w.tenant.id)[0]), "refused"),
    "trusted_issuers.insert": Operation(
        lambda w: w.stores.trusted_issuers.insert(tokens.trusted_issuer(w.tenant.id)), "refused"
    ),
    "trusted_issuers.delete": Operation(lambda w: w.stores.trusted_issuers.delete(w.issuer)),
    "tenants.update": Operation(_suspend),
    "api_keys.update": Operation(_revoke),
    "tenants.delete": Operation(lambda w: w.stores.tenants.delete(w.tenant, now=NOW)),
    "refusals.add": Operation(
        lambda w: w.stores.refusals.add(w.tenant.id, day(NOW), {("queue_full", "eu_1"): 2}), waits=False
    ),
    "budget_shares.sample": Operation(lambda w: w.stores.budget_shares.sample([w.tenant.id], NOW), waits=False),
    "waiting_tenants.sample": Operation(lambda w: w.stores.waiting_tenants.sample([w.tenant.id]), waits=False),
    "usage_reports.begin": Operation(
        lambda w: w.stores.usage_reports.begin(w.tenant.id, TODAY, TODAY, now=NOW), "refused"
    ),
    "usage_reports.extend": Operation(_extend_report),
    "console_sessions.begin": Operation(
        lambda w: w.stores.console_sessions.begin("session", ConsoleSession(_SUBJECT, NOW), NOW)
    ),
    "console_sessions.resume": Operation(
        lambda w: w.stores.console_sessions.resume("session", is_person=True), waits=False
    ),
    "console_sessions.end": Operation(
        lambda w: w.stores.console_sessions.end("session", ConsoleSession(_SUBJECT, NOW))
    ),
    "console_sessions.leave_message": Operation(
        lambda w: w.stores.console_sessions.leave_message("session", "done"), waits=False
    ),
    "console_logins.issue": Operation(lambda w: w.stores.console_logins.issue("ticket", _SUBJECT)),
    "console_logins.take": Operation(lambda w: w.stores.console_logins.take("unknown")),
    "console_logins.count": Operation(lambda w: w.stores.console_logins.count("192.0.2.1", NOW), waits=False),
    "upload_tickets.issue": Operation(lambda w: w.stores.upload_tickets.issue(_TICKET), "refused"),
    "upload_tickets.take": Operation(_take_ticket),
    "measurements.save": Operation(lambda w: w.stores.measurements.save(w.tenant.id, "https://a.example", _CLIP)),
    "api_keys.note_use": Operation(lambda w: w.stores.api_keys.note_use(w.key.id, "2026-01-31T09:30Z"), waits=False),
}


def is_refusal(answer: Any) -> bool:
    """Whether a result is a refusal: ``GenerationStore.create`` returns its refusal and does not raise it."""
    return isinstance(answer, Refused) and answer.reason == "store_full"


def writes_of(stores: Stores) -> set[str]:
    """Find ``<store>.<method>`` of every public method that sends a write, by the source of the stores."""
    found = set()
    for name, store in vars(stores).items():
        sources = {
            method: inspect.getsource(function)
            for method, function in inspect.getmembers(type(store), inspect.iscoroutinefunction)
        }
        private = {method for method, source in sources.items() if method[0] == "_" and _sends_a_write(source)}
        for method, source in sources.items():
            sends = _sends_a_write(source) or any(f"self.{other}(" in source for other in private)
            if sends and method[0] != "_":
                found.add(f"{name}.{method}")
    return found


def _sends_a_write(source: str) -> bool:
    commands = set(re.findall(r'[(,]\s*"([A-Z]{3,})"', source))
    return bool(_WRITES.search(source) or commands - READS - _OPTIONS)


#: A script that may write, or a function of the stores that runs one.
_WRITES: Final = re.compile(
    r"_redis\.run\(|\b(?:count|insert_record|replace_record|record_use|set_expiring)\(\s*self\._redis,"
)


#: Options of commands in capitals.
_OPTIONS: Final = {"WITHSCORES", "LIMIT", "COUNT", "MATCH"}
