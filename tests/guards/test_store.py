"""Every write declares its behaviour on a full Redis, and every write without replication has a reason."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.store.redis.commands import GROWS, READS
from service.store.redis.scripts import FILES, Script
from tests.guards.repository import ROOT, modules

SCRIPTS = sorted(path.stem for path in (ROOT / "service/store").glob("*/*.lua"))

#: Scripts that a full Redis refuses. Every other script that writes runs: an end, a callback or a lease must fit.
REFUSED = {
    "create": "a new generation",
    "insert": "a new tenant, or a new API key",
    "trust_issuer": "a new trusted issuer",
}
#: Scripts whose first statement is a DEL: they need no other one.
OWN_DEL = {"claim", "claim_deliveries", "claim_polls", "claim_slot", "unlock"}
#: Writes that a full Redis accepts: they take no memory.
FREES = {"DEL", "GETDEL", "EXPIRE", "HDEL", "PERSIST", "PEXPIRE", "ZREM", "ZREMRANGEBYRANK", "ZREMRANGEBYSCORE"}

#: Writes that wait for no replica, by the function that sends them, and the reason why losing one does no harm.
UNREPLICATED = {
    "service/store/webhooks/deliveries.py:claim": "a lease; without it its delivery is due again",
    "service/store/webhooks/receivers.py:failing": "removes entries without health; the next read does so again",
    "service/store/queues/due.py:claim": "a lease; without it its entry is due again",
    "service/store/queues/due.py:claim_polls": "a lease; without it its poll is due again",
    "service/store/queues/due.py:flag_hint": "a hint; workers poll without one",
    "service/store/redis/health.py:_allowed": "reads, and a probe that expires",
    "service/store/console/expiring.py:set_expiring": "callers decide",
    "service/store/console/sessions.py:leave_message": "the message of an action, which is complete without it",
    "service/store/console/sessions.py:resume": "a message that is shown twice, or an earlier expiry of a session",
    "service/store/state/heartbeats.py:note_beat": "the next one comes within a second",
    "service/store/state/heartbeats.py:note_worker": "the next one comes within seconds",
    "service/store/queues/leases.py:_renew_page": "a lease; without it its entry is due again",
    "service/store/queues/tenant_queue.py:claim": "a lease; without it its generation is in the queue again",
    "service/store/state/stored_bytes.py:take_turn": "the next turn comes within seconds",
    "service/store/state/stored_bytes.py:write": "an estimate; the next one comes within seconds",
    "service/store/tenants/rates.py:count": "a count that expires within a minute",
    "service/store/money/budget_shares.py:sample": "a sample; the next one comes within two minutes",
    "service/store/tenants/waiting.py:sample": "a sample; the next one comes within two minutes",
    "service/store/money/refusals.py:add": "counts of refused creates, for display",
    "service/store/generations/submissions.py:trim": "a deletion; what a failover brings back is trimmed again",
    "service/store/trail/checks.py:keep_verified": "progress of a verification; without it a part is verified again",
    "service/store/trail/checks.py:take_turn": "the next turn comes within a minute",
    "service/store/redis/records.py:record_use": "a time of last use, for display",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_writes_agree_with_when_full(name: str) -> None:
    script = Script(name)
    called = set(re.findall(r'redis\.call\(\s*"(\w+)"', script.text)) - {"DEL"}
    writes = bool(called - READS) or script.when_full == "runs"
    assert writes == (script.when_full != "reads")
    assert (script.when_full == "refused") == (name in REFUSED)


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_that_runs_begins_with_a_del(name: str) -> None:
    script = Script(name)
    begins = script.text.startswith('redis.call("DEL", "{sg}:scratch")\n')
    assert begins == (script.when_full == "runs" and name not in OWN_DEL)


@pytest.mark.parametrize("name", sorted(OWN_DEL))
def test_own_del_is_the_first_statement(name: str) -> None:
    assert Script(name).when_full == "runs"
    own = FILES[name].read_text()
    before, *after = re.split(r'\nredis\.call\("DEL", \w+_key\)\n', own, maxsplit=1)
    assert after
    assert all(re.fullmatch(r"--.*|local \w+ = \d+|", line) for line in before.splitlines())


def test_every_command_is_classified() -> None:
    """A new command belongs in READS, GROWS (service/store/redis/commands.py) or FREES."""
    found = {name for path in modules("service", "workers") for name in _commands(path)}
    assert found - READS - GROWS - FREES == set()
    assert {"SET", "HDEL", "MGET", "ZADD"} <= found


def test_every_unreplicated_write_has_a_reason() -> None:
    found = {where for path in modules("service", "workers") for where in _unreplicated(path)}
    assert found == set(UNREPLICATED)


def _commands(path: Path) -> Iterator[str]:
    """Names of the commands of ``execute`` and ``gather``."""
    for call in ast.walk(ast.parse(path.read_text())):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            continue
        if call.func.attr == "execute":
            yield from _texts(call.args[0])
    if "_redis.gather(" in path.read_text():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Tuple) and node.elts:
                yield from (text for text in _texts(node.elts[0]) if re.fullmatch("[A-Z]{3,}", text))


def _texts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def _unreplicated(path: Path) -> Iterator[str]:
    if path == ROOT / "service/store/redis/client.py":
        return  # it implements the argument
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.AsyncFunctionDef):
            for call in ast.walk(function):
                keywords = call.keywords if isinstance(call, ast.Call) else []
                if any(keyword.arg == "replicated" for keyword in keywords):
                    yield f"{path.relative_to(ROOT)}:{function.name}"
