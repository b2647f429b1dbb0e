"""Each write says what it does on a full Redis, and the few that wait for no replica say why."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.store.redis.commands import GROWS, READS
from service.store.redis.scripts import FILES, Script
from tests.guards.repository import ROOT, modules

SCRIPTS = sorted(path.stem for path in (ROOT / "service/store").glob("*/*.lua"))

#: What a full Redis refuses; every other script that writes runs: an end, a callback or a lease must always fit.
REFUSED = {
    "create": "a new generation",
    "insert": "a new tenant, or a new API key",
}
#: Scripts that lift the refusal with a DEL of their own: one command less.
OWN_DEL = {"claim", "claim_polls", "claim_slot", "unlock"}
#: Writes that a full Redis takes: they grow nothing.
FREES = {"DEL", "EXPIRE", "HDEL", "PERSIST", "PEXPIRE", "ZREM", "ZREMRANGEBYSCORE"}

#: Writes that wait for no replica, by the function that sends them, and why losing one harms nothing.
UNREPLICATED = {
    "service/store/webhooks/deliveries.py:_claim_endpoint_queue": "a lease; without it its delivery is due again",
    "service/store/queues/due.py:claim": "a lease; without it its entry is due again",
    "service/store/queues/due.py:claim_polls": "a lease; without it its poll is due again",
    "service/store/queues/due.py:flag_hint": "a hint; workers poll without one",
    "service/store/redis/health.py:_allowed": "reads, and a probe that expires",
    "service/store/state/heartbeats.py:note_beat": "the next one comes within a second",
    "service/store/state/heartbeats.py:note_worker": "the next one comes within seconds",
    "service/store/queues/leases.py:_renew_page": "a lease; without it its entry is due again",
    "service/store/queues/tenant_queue.py:claim": "a lease; without it its generation is in the queue again",
    "service/store/tenants/rates.py:check": "a count that is forgotten within a minute",
    "service/store/generations/submissions.py:trim": "forgets; what a failover brings back is trimmed again",
    "service/store/tenants/tenants.py:note_use": "a minute for people to read",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_is_classified(name: str) -> None:
    script = Script(name)
    called = set(re.findall(r'redis\.call\(\s*"(\w+)"', script.text)) - {"DEL"}
    writes = bool(called - READS) or script.when_full == "runs"
    assert writes == (script.when_full != "reads")
    assert (script.when_full == "refused") == (name in REFUSED)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_that_runs_begins_with_the_write_that_lifts_the_refusal(name: str) -> None:
    script = Script(name)
    begins = script.text.startswith('redis.call("DEL", "{sg}:scratch")\n')
    assert begins == (script.when_full == "runs" and name not in OWN_DEL)


@pytest.mark.parametrize("name", sorted(OWN_DEL))
def test_a_del_of_its_own_is_the_first_statement(name: str) -> None:
    assert Script(name).when_full == "runs"
    own = FILES[name].read_text()
    before, *after = re.split(r'\nredis\.call\("DEL", \w+_key\)\n', own, maxsplit=1)
    assert after
    assert all(re.fullmatch(r"--.*|local \w+ = \d+|", line) for line in before.splitlines())


def test_every_command_is_a_known_one() -> None:
    """A new one belongs into READS, GROWS (service/store/redis/commands.py) or FREES."""
    found = {name for path in modules("service", "workers") for name in _commands(path)}
    assert found - READS - GROWS - FREES == set()
    assert {"SET", "HDEL", "MGET", "ZADD"} <= found


def test_what_waits_for_no_replica_says_why() -> None:
    found = {where for path in modules("service", "workers") for where in _unreplicated(path)}
    assert found == set(UNREPLICATED)


def _commands(path: Path) -> Iterator[str]:
    """First words of what is given to ``execute`` and ``gather``."""
    for call in ast.walk(ast.parse(path.read_text())):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            continue
        if call.func.attr == "execute":
            yield from _word(call.args[0])
    if "_redis.gather(" in path.read_text():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Tuple) and node.elts:
                yield from (word for word in _word(node.elts[0]) if re.fullmatch("[A-Z]{3,}", word))


def _word(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def _unreplicated(path: Path) -> Iterator[str]:
    if path == ROOT / "service/store/redis/client.py":
        return  # it implements the argument
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.AsyncFunctionDef):
            for call in ast.walk(function):
                words = call.keywords if isinstance(call, ast.Call) else []
                if any(word.arg == "replicated" for word in words):
                    yield f"{path.relative_to(ROOT)}:{function.name}"
