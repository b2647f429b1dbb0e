"""The promises hold in every state that the explorer reaches, and the real scripts do what the model says.

Paths with a step of each kind, and random ones, are replayed on a real Redis. Both need the explored scenarios, which
take 17 s of CPU: the tests of one file run in one process, which explores each scenario once.
"""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final
from unittest.mock import patch

import pytest
import redis as redis_py

from service.cli.dev.embedded_redis import EmbeddedRedis
from service.config.settings import Settings
from service.runtime.stores import Stores
from service.store.generations import callbacks, create, write
from service.store.queues import tenant_queue
from service.store.redis.client import Redis, Script
from tests.model.ports import without_an_event_loop
from tests.model.replay import Replay, Size, is_replayable
from tests.model.report import explored, size_of
from tests.model.scenarios import SCENARIOS

SEED = 16
#: Random paths of each scenario, besides those that cover each kind of step.
RANDOM = 10

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _deterministic() -> Iterator[None]:
    with without_an_event_loop():
        yield


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_reachable_state_keeps_the_promises(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = explored(name)
    with capsys.disabled():
        print(f"\nmodel, {size_of(name, found)}")  # noqa: T201  (its size is a result)
    assert found.broken is None, str(found.broken)
    assert found.states > 50


async def _replay(name: str, redis: Redis, settings: Settings, redis_server: EmbeddedRedis) -> Size:
    found = explored(name)
    replay = Replay(Stores(redis, settings), redis, found.model)
    with redis_py.Redis.from_url(redis_server.url) as admin:
        for path in (*found.covering_paths(), *found.random_paths(RANDOM, SEED)):
            if is_replayable(path, found.model.initial()):
                admin.flushdb()
                await replay.path(path)
    return replay.size


@pytest.mark.parametrize("name", SCENARIOS)
async def test_scripts_agree_with_the_model(
    name: str,
    redis: Redis,
    settings: Settings,
    redis_server: EmbeddedRedis,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found, size = explored(name), await _replay(name, redis, settings, redis_server)
    with capsys.disabled():
        print(  # noqa: T201  (its size is a result)
            f"\nreplay, {name}: {len(found.kinds)} kinds of steps in {size.paths} paths, "
            f"{size.steps} steps, {size.operations} calls of real stores"
        )
    assert size.operations > 50


#: Of each fault in a script: the script, what is replaced, by what, and a scenario that reaches it.
FAULTY: Final[dict[str, tuple[Script, str, str, str]]] = {
    "a create does not bind its key": (
        create._CREATE, 'redis.call("SET", idempotency_key, generation_id .. " " .. fingerprint)', "", "faults",
    ),
    "a create ignores the budget": (create._CREATE, "tonumber(cost) > available", "false", "budget"),
    "a claim takes no slot": (tenant_queue._CLAIM_SLOT, 'redis.call("SADD", slots_key, unpack(new))', "", "faults"),
    "a save ignores the version": (write._SAVE, "~= version then", '== "" then', "everything"),
    "a save moves the poll of an unread callback": (
        write._SAVE, 'redis.call("HEXISTS", generation_key, "u") == 0', "true", "everything",
    ),
    "a save keeps the claim": (write._SAVE, 'redis.call("ZREM", claimed_key, generation_id)', "", "faults"),
    "an end ignores a stored callback": (
        write._FINISH, 'redis.call("HEXISTS", generation_key, "c") == 1', "false", "faults",
    ),
    "an end keeps its slot": (write._FINISH, 'redis.call("SREM", slots_key, generation_id)', "1", "requests"),
    "an end keeps its hold": (write._FINISH, '"held", -held_cost', '"held", 0', "requests"),
    "an end forgets a submit without outcome": (
        write._FINISH, 'redis.call("ZADD", given_up_key, submit_ms, generation_id)', "", "unconfirmed",
    ),
    "a callback is not polled": (
        callbacks._CALLBACK, 'redis.call("ZADD", due_poll_key, now_ms, generation_id)', "", "requests",
    ),
    "a pace moves the poll of an unread callback": (
        write._RESCHEDULE_POLL, 'redis.call("HEXISTS", generation_key, "u") == 1', "false", "faults",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTY)
async def test_replay_finds_a_fault_in_a_script(
    fault: str, redis: Redis, settings: Settings, redis_server: EmbeddedRedis
) -> None:
    script, right, wrong, scenario = FAULTY[fault]
    assert right in script.text
    text = script.text.replace(right, wrong)
    with ExitStack() as changed:
        changed.enter_context(patch.object(script, "text", text))
        changed.enter_context(patch.object(script, "sha", hashlib.sha1(text.encode()).hexdigest()))  # noqa: S324
        changed.enter_context(pytest.raises(AssertionError, match="in the model"))
        await _replay(scenario, redis, settings, redis_server)
