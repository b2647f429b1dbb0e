"""Every command that reads or deletes a whole key is named here, with the bound of that key.

Redis serves one command after the other: a command over a key that a tenant can grow stops all other tenants. The table
is complete in both directions: a new command of this kind fails the guard, and so does a row whose command is gone.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.guards.repository import ROOT, modules

#: Commands over everything that a key, or the keyspace, has.
WHOLE: Final = frozenset(
    (
        *("KEYS", "SMEMBERS", "HGETALL", "HKEYS", "HVALS", "SORT", "SORT_RO"),
        *("SUNION", "SINTER", "SDIFF", "SUNIONSTORE", "SINTERSTORE", "SDIFFSTORE", "SINTERCARD"),
        *("ZUNION", "ZINTER", "ZDIFF", "ZUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE", "ZINTERCARD"),
        *("ZREMRANGEBYSCORE", "ZREMRANGEBYLEX", "ZREMRANGEBYRANK", "XTRIM"),
        *("SCAN", "SSCAN", "HSCAN", "ZSCAN"),
    )
)
#: Commands over a range of positions: whole if the range ends at -1.
BY_POSITION: Final = frozenset(("ZRANGE", "ZREVRANGE", "ZRANGESTORE", "LRANGE"))
#: Commands over a range of values: whole without this option.
BY_VALUE: Final = {
    **dict.fromkeys(("ZRANGEBYSCORE", "ZREVRANGEBYSCORE", "ZRANGEBYLEX", "ZREVRANGEBYLEX"), "LIMIT"),
    **dict.fromkeys(("XRANGE", "XREVRANGE"), "COUNT"),
}

#: "<file>: <command> <key>" -> the bound of the key.
ALLOWED: Final = {
    "console/begin_console_session.lua: ZREMRANGEBYSCORE sessions_of_subject_key": "MOST_SESSIONS of one subject",
    "gate/gate.lua: ZRANGE failed_submits_key": "MOST_EVIDENCE (200, or submit_failures): the script adds no more",
    "gate/gate_state.lua: ZRANGE failed_submits_key": "MOST_EVIDENCE (200, or submit_failures), by gate.lua",
    "generations/response_receipts.py: ZREMRANGEBYRANK key": "it removes what exceeds _MOST_KEPT: one entry a call",
    "gate/lock.lua: ZREMRANGEBYSCORE locked_polls_key": "polls of one minute, which polls_per_second limits",
    "gate/resume.lua: ZRANGE closed_gates_key": "one entry for each tenant; operators create tenants",
    "redis/parts/hold.lua: ZRANGE closed_gates": "one entry for each tenant; operators create tenants",
    "generations/create.lua: ZRANGE undelivered_responses_key": "equal creates of one tenant within the resend window",
    "money/prices.py: HGETALL keys.PRICE_MISMATCHES": "one field for each resolution",
    "money/read_usage.lua: HGETALL KEYS[n]": "fields for each error code and model, of which there are lists",
    'money/sum_usage.lua: HGETALL usage_prefix .. ARGV[n] .. ":" .. ARGV[day]': "as above; _SLICE (250) of them",
    "queues/claim_slot.lua: HGETALL submits_under_way_key": "the submit window, which the slots of the account limit",
    "queues/claim_slot.lua: ZREMRANGEBYSCORE idle_tenants_key": "one entry for each tenant; operators create tenants",
    "queues/tenant_queue.py: LRANGE keys.JOB_DURATIONS": "100: finish.lua trims the list",
    "redis/scan.py: SCAN cursor": "one page; for the audit, which calls run up to KEYS_LIMIT keys only",
    "redis/scan.py: SSCAN key": "one page; for audit and reconciliation, which no call of a tenant runs",
    "redis/scan.py: ZSCAN key": "one page; for audit and reconciliation, which no call of a tenant runs",
    "state/heartbeats.py: ZRANGE keys.WORKERS": "one entry for each queue of each process",
    "state/heartbeats.py: ZREMRANGEBYSCORE keys.WORKERS": "one entry for each queue of each process",
    "tenants/delete_tenant.lua: ZRANGE api_keys_key": "API keys of one tenant; operators create them",
    "tenants/delete_tenant.lua: HGETALL trusted_issuers_key": "MOST_OF_TENANT (20)",
    "tenants/delete_tenant.lua: HKEYS endpoints_key": "MOST_ENDPOINTS (20)",
    "trail/append_entry.lua: XTRIM trail_key": "`~` without LIMIT: Redis removes 10,000 entries at most",
    "trail/trail.py: HGETALL keys.TRAIL_PENDING": "acts under way, and those of processes that ended within an hour",
    "tenants/trust_issuer.lua: HVALS issuers_by_name_key": "MOST_OF_ISSUER (2000)",
    "tenants/trusted_issuers.py: HGETALL keys.trusted_issuers_by_name(_hash(issuer))": "MOST_OF_ISSUER (2000)",
    "tenants/trusted_issuers.py: HKEYS keys.trusted_issuers_of_tenant(tenant_id)": "MOST_OF_TENANT (20)",
    "webhooks/claim_deliveries.lua: ZREMRANGEBYSCORE leases": "attempts under way to one endpoint, limited by Caps",
    "webhooks/endpoints.py: HGETALL keys.endpoints_of_tenant(tenant_id)": "MOST_ENDPOINTS (20)",
}
#: Modules with names of commands that they do not send.
NAMES_ONLY: Final = frozenset(("service/store/redis/commands.py", "service/store/redis/parameters.py"))


def test_every_command_over_a_whole_key_has_a_bound() -> None:
    found = set(_found())
    assert found - set(ALLOWED) == set(), "bound the command, or name the bound of its key in ALLOWED"
    assert set(ALLOWED) - found == set(), "these rows have no command any more"


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ('redis.call("SMEMBERS", key)', True),
        ('redis.call("ZRANGE", key, 0, -1, "WITHSCORES")', True),
        ('redis.call(\n  "ZRANGE", key,\n  0, -1)', True),
        ('redis.call("ZUNION", 2, a, b)', True),
        ('redis.call("ZRANGE", key, 0, limit - 1)', False),
        ('redis.call("ZRANGEBYSCORE", key, "-inf", now)', True),
        ('redis.call("ZRANGEBYSCORE", key, "-inf", now, "LIMIT", 0, 10)', False),
        ('redis.call("ZRANGEBYSCORE", of(key, "a"), "-inf", now, "LIMIT", 0, 10)', False),
        ('redis.call("ZRANGEBYSCORE", of(key, "LIMIT"), "-inf", now)', True),
        ('redis.pcall("HGETALL", key)', True),
        ('redis.call("HGET", key, "field")', False),
    ],
)
def test_lint_finds_whole_reads_of_lua(text: str, *, whole: bool) -> None:
    assert bool(list(_of_lua(text))) == whole


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ('redis.execute("SMEMBERS", key)', True),
        ('redis.gather((("ZRANGE", key, 0, -1), ("GET", key)))', True),
        ('redis.gather(("HGETALL", name) for name in names)', True),
        ('redis.execute("ZREVRANGE", key, first, first + count - 1, "WITHSCORES")', False),
        ('redis.execute("XRANGE", key, "-", "+")', True),
        ('redis.execute("XRANGE", key, "-", "+", "COUNT", 10)', False),
        ('redis.execute("ZUNION", len(days), *days, "WITHSCORES")', True),
        ('NAMES = frozenset(("GET", "SMEMBERS"))', False),
    ],
)
def test_lint_finds_whole_reads_of_python(text: str, *, whole: bool) -> None:
    assert bool(list(_of_python(text))) == whole


def _found() -> Iterator[str]:
    for path in sorted((ROOT / "service").rglob("*.lua")):
        yield from (f"{_name(path)}: {call}" for call in _of_lua(path.read_text()))
    for path in modules("service", "workers"):
        if str(path.relative_to(ROOT)) not in NAMES_ONLY:
            yield from (f"{_name(path)}: {call}" for call in _of_python(path.read_text()))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT)).removeprefix("service/store/")


def _of_lua(text: str) -> Iterator[str]:
    code = re.sub(r"--.*", "", text)
    for call in re.finditer(r'redis\.p?call\(\s*"(\w+)"', code):
        yield from _whole(call[1], _arguments(code[call.end() :]))


def _arguments(code: str) -> list[str]:
    """Split what follows the name of a command at the commas of the call, up to its closing bracket."""
    words, depth = [""], 0
    for character in code:
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            break
        if character == "," and depth == 0:
            words.append("")
        else:
            words[-1] += character
    return [word.strip() for word in words[1:]]


def _of_python(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "execute":
            words = node.args
        elif isinstance(node, ast.Tuple):
            words = node.elts
        else:
            continue
        if words and isinstance(words[0], ast.Constant) and isinstance(words[0].value, str):
            yield from _whole(words[0].value, [ast.unparse(word) for word in words[1:]])


def _whole(name: str, words: list[str]) -> Iterator[str]:
    if not words:  # a table of names
        return
    options = {word.strip("'\"") for word in words}
    if (
        name in WHOLE
        or (name in BY_POSITION and "-1" in words[1:3])
        or (name in BY_VALUE and BY_VALUE[name] not in options)
    ):
        yield f"{name} {words[0]}"
