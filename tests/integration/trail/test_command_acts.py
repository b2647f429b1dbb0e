"""Each command either leaves exactly one entry, or is listed with a reason. The commands come from the real parser."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
import typer
from typer.testing import CliRunner, Result

from service.cli import app
from service.config.settings import Settings
from service.domain.end_user import pseudonym
from service.domain.operator import Role
from service.domain.trail import Outcome
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from tests.support import tokens
from tests.support.factories import Clock
from tests.support.trail import assert_no_secret, entries_after, last_number
from tests.support.trail_acts import ADMIN_ACTS, Act
from tests.support.trail_scene import Scene
from tests.support.waiting import process_due

Words = list[str]
Options = Words | Callable[[Scene], Awaitable[Words]]
_WHY = ["--reason", "an incident"]
_READ = "a read without the data of a person"
_PROCESS = "a process of the gateway, or of a stack of its own"
_CLIENT = "a client of the API, which records"
#: Commands that leave no entry, and why.
NOT_RECORDED = {
    "audit": _READ,
    "beat": _PROCESS,
    "budgets": _READ,
    "bulk list": _READ,
    "bulk show": _READ,
    "complete": _CLIENT,
    "deliveries list": _READ,
    "deliveries show": _READ,
    "demo": _PROCESS,
    "doctor": _READ,
    "endpoints failing": _READ,
    "endpoints list": _READ,
    "generate": _CLIENT,
    "generations list": _READ,
    "keys list": _READ,
    "listen": _CLIENT,
    "models": _CLIENT,
    "operators list": _READ,
    "operators show": _READ,
    "operators tokens list": _READ,
    "paid-and-lost": _READ,
    "serve": _PROCESS,
    "tenants issuers list": _READ,
    "tenants list": _READ,
    "tenants show": _READ,
    "trail": _READ,
    "unconfirmed": _READ,
    "up": _PROCESS,
    "worker": _PROCESS,
}


async def _rule(scene: Scene) -> Words:
    rule = tokens.rule(audience=f"https://{await scene.value('tenant_id')}.example")
    named = [word for name in ("issuer", "audience", "subject") for word in (f"--{name}", rule[name])]
    return [*named, "--jwks-file", scene.found["jwks_file"]]


async def _usage(scene: Scene) -> Words:
    await scene.value("end_user_id")
    return ["--by", "end_user", "--tenant", await scene.value("tenant_id")]


async def _of_tenant(scene: Scene) -> Words:
    await scene.value("end_user_id")
    return ["--tenant", await scene.value("tenant_id"), "--yes", *_WHY]


async def _unconfirmed(scene: Scene) -> Words:
    lost = Scene(scene.runtime, scene.clock, generation="unconfirmed", tenant=await scene.tenant())
    await lost.value("generation_id")
    return ["--tenant", await scene.value("tenant_id"), "--yes", *_WHY]


async def _dead(scene: Scene) -> Words:
    await scene.value("delivery_id")
    return ["--tenant", await scene.value("tenant_id"), "--yes", *_WHY]


#: Operation and options of each command that is recorded. Its arguments are the values of the scene.
RECORDED: dict[str, tuple[str, Options]] = {
    "adjust": ("adjust_cost", ["--amount=-0.20", "--expected", "0.70", "--operator", "ann", *_WHY]),
    "bulk cancel": ("start_bulk_job", _of_tenant),
    "bulk dismiss": ("start_bulk_job", _unconfirmed),
    "bulk replay": ("start_bulk_job", _dead),
    "bulk stop": ("stop_bulk_job", _WHY),
    "console-login": ("create_login_link", []),
    "deliveries replay": ("replay_delivery", _WHY),
    "drain": ("drain_gateway", ["--timeout", "0", *_WHY]),
    "end-users block": ("block_end_user_of_tenant", _WHY),
    "end-users erase": ("erase_end_user_of_tenant", ["--yes", *_WHY]),
    "end-users erasure": ("read_erasure_of_tenant", []),
    "end-users list": ("list_end_users_of_tenant", []),
    "end-users show": ("list_end_users_of_tenant", []),
    "end-users unblock": ("unblock_end_user_of_tenant", _WHY),
    "endpoints disable": ("disable_endpoint", _WHY),
    "endpoints enable": ("enable_endpoint", _WHY),
    "endpoints test": ("send_test_event_of_tenant", _WHY),
    "generations cancel": ("cancel_any_generation", _WHY),
    "generations show": ("read_any_generation", []),
    "keys create": ("create_api_key", []),
    "keys revoke": ("revoke_api_key", []),
    "keys rotate": ("rotate_api_key", []),
    "operators change": ("change_operator", ["--role", "operator"]),
    "operators create": ("create_operator", ["--role", "viewer"]),
    "operators disable": ("disable_operator", []),
    "operators enable": ("enable_operator", []),
    "operators tokens create": ("create_operator_token", []),
    "operators tokens revoke": ("revoke_operator_token", []),
    "operators tokens rotate": ("rotate_operator_token", ["--overlap-hours", "1"]),
    "pause": ("pause_dispatch", _WHY),
    "resolve": ("resolve_unconfirmed", ["--never-happened", *_WHY]),
    "resume": ("resume_dispatch", []),
    "revive": ("revive_generation", ["--fal-request-id", "request-1", *_WHY]),
    "rotate-secret-key": ("rotate_secret_key", []),
    "tenants create": ("create_tenant", ["--limit", "webhook_url=http://127.0.0.1:9000/m4rk3d"]),
    "tenants delete": ("delete_tenant", ["--yes"]),
    "tenants issuers add": ("create_trusted_issuer", _rule),
    "tenants issuers remove": ("delete_trusted_issuer", []),
    "tenants pause": ("pause_tenant", _WHY),
    "tenants resume": ("resume_tenant", []),
    "tenants suspend": ("suspend_tenant", _WHY),
    "tenants unpause": ("unpause_tenant", _WHY),
    "tenants unsuspend": ("unsuspend_tenant", _WHY),
    "tenants update": ("change_tenant", ["--limit", "weight=3", "--limit", "monthly_budget_usd=5"]),
    "usage": ("read_account_usage", _usage),
}

#: Acts without an operation of the API.
OWN_ACTS = {
    "create_login_link": Act(is_read=True),
    "read_account_usage": Act(is_read=True),
    "rotate_secret_key": Act(facts=("tenants",)),
}
#: Acts on the gateway as a whole.
_OF_ALL = {"create_login_link", "drain_gateway", "pause_dispatch", "resume_dispatch", "rotate_secret_key"}
_ARGUMENTS = {"job_id": "bulk_job_id"}


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield all commands with their full names."""

    def below(group: Any, names: tuple[str, ...]) -> Iterator[tuple[str, click.Command]]:
        context = click.Context(group)
        for name in group.list_commands(context):
            found = group.get_command(context, name)
            if hasattr(found, "list_commands"):
                yield from below(found, (*names, name))
            else:
                yield " ".join((*names, name)), found

    yield from sorted(below(typer.main.get_command(app), ()))


def test_every_command_is_in_one_class() -> None:
    assert [name for name, _ in commands()] == sorted([*RECORDED, *NOT_RECORDED])


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[[Words], Result]:
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    return lambda words: CliRunner().invoke(app, words)


async def operator_token(runtime: Runtime, role: Role) -> str:
    person = await runtime.operators.service.create("Ada", role)
    return (await runtime.operators.service.create_token(person.id))[1]


async def test_each_command_leaves_one_entry(
    run: Callable[[Words], Result],
    runtime: Runtime,
    clock: Clock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GATEWAY_OPERATOR_TOKEN", await operator_token(runtime, Role.ADMIN))
    keys_file = tmp_path / "jwks.json"
    keys_file.write_text(json.dumps(tokens.public(tokens.key())))
    for name, command in commands():
        if name not in RECORDED:
            continue
        action, options = RECORDED[name]
        act = OWN_ACTS.get(action) or ADMIN_ACTS[action]
        scene = Scene(runtime, clock, generation=act.generation)
        scene.found["jwks_file"] = str(keys_file)
        arguments = [await _argument(scene, each.name or "") for each in command.params if _is_argument(each)]
        words = [*name.split(), *(await options(scene) if callable(options) else options), "--", *arguments]
        if act.step is not None:
            await act.step(scene)
        number = await last_number(runtime)
        result = await _finished(runtime, clock, asyncio.to_thread(run, words), works=action == "start_bulk_job")
        assert result.exit_code == 0 or name == "drain", (name, result.output, result.exception)
        await runtime.operations.gate.resume()  # a drain would refuse the generations of the next commands
        entry, *others = await entries_after(runtime, number)

        assert [each.action for each in others] == (["end_bulk_job"] if action == "start_bulk_job" else []), name
        assert (entry.action, entry.outcome, entry.error) == (action, Outcome.DONE, None), name
        assert (entry.actor.kind, entry.actor.name, entry.actor.role) == ("operator", "Ada", Role.ADMIN), name
        assert (entry.actor.address, entry.actor.request_id) == (None, None)
        assert (entry.target is None) == (action in _OF_ALL), name
        if "end_user_id" in scene.found and "end-users" in name and name != "end-users list":
            assert entry.target == pseudonym(await scene.tenant(), scene.found["end_user_id"]), name
        about_none = action in _OF_ALL or "operator" in action or action == "create_tenant"
        assert about_none or entry.tenant_id == scene.tenant_id, name
        assert entry.reason == ("an incident" if "an incident" in words else None), name
        assert entry.changes.keys() >= {*act.changes} - _only_by_api(name), (name, entry.changes)
        assert entry.facts.keys() >= {*act.facts}, (name, entry.facts)
    await assert_no_secret(runtime, capfd.readouterr().err)


@pytest.mark.parametrize("name", ["pause", "tenants suspend", "keys create", "generations show", "console-login"])
async def test_command_refused_by_role_leaves_one_entry(
    run: Callable[[Words], Result], runtime: Runtime, clock: Clock, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("GATEWAY_OPERATOR_TOKEN", await operator_token(runtime, Role.VIEWER))
    command, scene = dict(commands())[name], Scene(runtime, clock)
    action, options = RECORDED[name]
    arguments = [await _argument(scene, each.name or "") for each in command.params if _is_argument(each)]
    assert not callable(options)
    result = await asyncio.to_thread(run, [*name.split(), *options, "--", *arguments])
    (entry,) = await entries_after(runtime, 0)

    is_for_all = name == "console-login"
    assert (result.exit_code, entry.action) == (0 if is_for_all else 1, action)
    assert (entry.outcome, entry.error) == ((Outcome.DONE, None) if is_for_all else (Outcome.REFUSED, "forbidden"))


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


async def _argument(scene: Scene, name: str) -> str:
    return "Eve" if name == "name" else await scene.value(_ARGUMENTS.get(name, name))


def _only_by_api(name: str) -> set[str]:
    """Return changes that the options of a command do not make."""
    return {"tenants update": {"limits.webhook_url"}, "keys create": {"name"}}.get(name, set()) | (
        {"name"} if name == "operators tokens create" else set()
    )


async def _finished(runtime: Runtime, clock: Clock, command: Awaitable[Result], *, works: bool) -> Result:
    """Return the result of a command. ``works``: do the work of the workers until it ends."""
    running = asyncio.ensure_future(command)
    while not running.done():
        clock.now = datetime.now(UTC)  # commands have the clock of the machine
        if works:
            await process_due(runtime, WorkQueue.SWEEP)
        await asyncio.wait((running,), timeout=0.1)
    return await running
