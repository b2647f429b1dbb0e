"""The state of the store, as Redis has it and as the model has it, in one form."""

from collections.abc import Sequence
from typing import Any

from service.domain.budgets import day
from service.domain.work_queue import WorkQueue
from service.store import keys
from service.store.generations import callbacks
from service.store.money.money import MoneyStore
from service.store.redis.client import Redis
from service.store.times import moment as moment_of
from tests.model import fal
from tests.model.creates import END_USER, TENANT
from tests.model.times import moment, tick_at
from tests.model.world import Job, World


async def read_state(redis: Redis, names: Sequence[str]) -> dict[str, Any]:
    """Return what Redis has, in the words of the model."""
    money, today = MoneyStore(redis), day(moment(0))
    windows = [
        keys.money_of_tenant(TENANT, today[:7]),
        keys.money_of_end_user(TENANT, END_USER, today),
        keys.money_of_account(today),
    ]
    standings = await money.standings_of(windows)
    lines = [line async for line in money.ledger()]
    return {
        **{f"generation {n}": await _read_job(redis, name) for n, name in enumerate(names)},
        "held": {*(one.held for one in standings), sum(line.held for line in lines)},
        "spent": {*(one.spent for one in standings), sum(line.spent for line in lines)},
        "request ids": {name.decode() for name in await redis.execute("ZRANGE", keys.FAL_REQUEST_IDS, 0, -1)},
        "deliveries": await redis.execute("ZCARD", keys.deliveries_of_tenant(TENANT)),
    }


async def _read_job(redis: Redis, name: str) -> dict[str, Any]:
    scores = {
        "due_dispatch": keys.due(WorkQueue.DISPATCH),
        "claimed_until": keys.CLAIMED,
        "due_poll": keys.due(WorkQueue.POLL),
        "due_sweep": keys.due(WorkQueue.SWEEP),
        "is_given_up": keys.GIVEN_UP,
        "is_marked_lost": keys.PAID_AND_LOST,
    }
    fields, account, tenant, *found = await redis.gather(
        (
            ("HMGET", keys.generation(name), "v", "s", "d", "c", "u"),
            ("SISMEMBER", keys.SLOTS, name),
            ("SISMEMBER", keys.slots_of_tenant(TENANT), name),
            *(("ZSCORE", key, name) for key in scores.values()),
        )
    )
    version, status, record, callback, unread = fields
    ticks = dict(zip(scores, (tick_at(moment_of(score)) for score in found), strict=True))
    marks = {field: ticks.pop(field) is not None for field in ("is_given_up", "is_marked_lost")}
    return {
        "record": None if record is None else (int(version), status.decode(), record),
        "callback": None if callback is None else callbacks.load(callback),
        "is_unread": unread is not None,
        "has_slot": {bool(account), bool(tenant)},
        **ticks,
        **marks,
    }


def state_of(world: World) -> dict[str, Any]:
    """Return what Redis should have."""
    return {
        **{f"generation {number}": _job_of(number, job) for number, job in enumerate(world.jobs)},
        "held": {sum(job.held for job in world.jobs)},
        "spent": {sum(job.spent for job in world.jobs)},
        "request ids": {job.request_id for job in world.jobs if job.request_id is not None},
        "deliveries": sum(job.deliveries for job in world.jobs),
    }


def _job_of(number: int, job: Job) -> dict[str, Any]:
    g, state = job.generation, job.callback
    stored: Any = state
    return {
        "record": None if g is None or job.record is None else (g.version, g.status, job.record.dumped),
        "callback": None if stored is None else fal.callback(number, 1, stored),
        "is_unread": job.is_unread,
        "has_slot": {job.has_slot},
        "due_dispatch": job.due_dispatch,
        "claimed_until": job.claimed_until,
        "due_poll": job.due_poll,
        "due_sweep": job.due_sweep,
        "is_given_up": job.is_given_up,
        "is_marked_lost": job.is_marked_lost,
    }


def difference(found: dict[str, Any], expected: dict[str, Any]) -> str:
    """Name the parts that differ, as Redis and as the model have them."""
    return "; ".join(
        difference(found[name], value) if isinstance(value, dict) else f"{name} is {found[name]}, in the model {value}"
        for name, value in expected.items()
        if found[name] != value
    )
