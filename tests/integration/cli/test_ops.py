"""Commands of operators on a real Redis: output, exit codes and effects."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from service import build_info
from service.cli import app
from service.cli.dev.child_processes import PortTaken
from service.cli.dev.stack import Stack
from service.config.settings import PREFIX, Settings
from service.domain.generation import Due
from service.domain.tenant import parse_key
from service.runtime import Runtime, open_runtime
from service.store import keys
from tests.support import factories

Run = Callable[..., Result]
Within = Callable[[Callable[[Runtime], Awaitable[Any]]], Any]
NEW_SECRET_KEY = factories.OTHER_SECRET_KEY


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs a command with the settings as variables and checks its exit code."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)

    def invoked(*arguments: str, exits: int = 0) -> Result:
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == exits, result.output + repr(result.exception)
        return result

    return invoked


@pytest.fixture
def tenant_id(run: Run) -> str:
    return str(answer(run("tenants", "create", "acme"))["id"])


def answer(result: Result) -> Any:
    """Return the single JSON object of stdout."""
    (line,) = lines(result)
    return line


def lines(result: Result) -> list[Any]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def errors(result: Result) -> str:
    """Return the text of stderr, with line breaks as spaces."""
    assert result.stdout == ""
    return " ".join(result.stderr.split())


# --- tenants ----------------------------------------------------------------------------------------------------------


def test_tenant_create_show_update_suspend_resume_delete(run: Run) -> None:
    limits = ("--limit", "weight=3", "--limit", "monthly_budget_usd=500", "--limit", 'resolutions=["480p"]')
    url = ("--limit", "webhook_url=http://127.0.0.1:9000/hook")
    created = answer(run("tenants", "create", "acme", "--require-end-user", *limits, *url))
    tenant_id = created["id"]
    assert created["webhook_secret"].startswith("whsec_")
    assert created["require_end_user"] is True
    given = {
        "weight": 3,
        "monthly_budget_usd": "500.000000",
        "resolutions": ["480p"],
        "webhook_url": "http://127.0.0.1:9000/hook",
    }
    assert created["limits"].items() >= given.items()
    assert created["limits"]["daily_generations"] == 10_000, "by default"
    shown = answer(run("tenants", "show", tenant_id))
    month = {"held": "0.000000", "spent": "0.000000", "over": False}
    assert shown == {**created, "month": month, "webhook_secret": None}
    lifted = ("--limit", "monthly_budget_usd=null", "--limit", "burst=5")
    changed = answer(run("tenants", "update", tenant_id, "--name", "other", "--no-require-end-user", *lifted))
    assert changed == {
        **shown,
        "name": "other",
        "require_end_user": False,
        "version": 2,
        "limits": {**shown["limits"], "monthly_budget_usd": None, "burst": 5},
    }
    assert answer(run("tenants", "suspend", tenant_id))["suspended"] is True
    assert answer(run("tenants", "resume", tenant_id))["suspended"] is False
    assert tenant_id in errors(run("tenants", "delete", tenant_id, "--yes"))
    assert errors(run("tenants", "show", tenant_id, exits=1)) == "There is no such tenant."


def test_tenant_suspension_and_pause_end_apart(run: Run, tenant_id: str) -> None:
    run("tenants", "suspend", tenant_id, "--reason", "a stolen key")
    assert answer(run("tenants", "pause", tenant_id, "--reason", "a loop"))["suspended"] is True
    unsuspended = answer(run("tenants", "unsuspend", tenant_id, "--reason", "a new key"))
    assert (unsuspended["suspended"], unsuspended["paused"]["reason"]) == (False, "a loop")
    assert answer(run("tenants", "unpause", tenant_id, "--reason", "fixed"))["paused"] is None
    run("tenants", "unpause", tenant_id, "--reason", " ", exits=2)


def test_tenant_delete_without_terminal_needs_yes(run: Run, tenant_id: str) -> None:
    assert f"give --yes to delete {tenant_id}" in errors(run("tenants", "delete", tenant_id, exits=2))
    assert answer(run("tenants", "show", tenant_id))["id"] == tenant_id


@pytest.mark.parametrize(("reply", "deleted"), [("y", True), ("n", False)])
def test_tenant_delete_asks_on_a_terminal(
    run: Run, tenant_id: str, monkeypatch: pytest.MonkeyPatch, reply: str, deleted: bool
) -> None:
    asked = list[str]()

    def confirm(text: str, **_: Any) -> None:
        asked.append(text)
        if reply == "n":
            raise typer.Abort

    monkeypatch.setattr("service.cli.ops.tenants._is_interactive", lambda: True)
    monkeypatch.setattr("service.cli.ops.tenants.typer.confirm", confirm)
    run("tenants", "delete", tenant_id, exits=0 if deleted else 1)
    assert asked == [f"Delete tenant 'acme' ({tenant_id}) with its API keys and usage?"]
    run("tenants", "show", tenant_id, exits=1 if deleted else 0)


def test_tenant_list_prints_one_a_line(run: Run) -> None:
    assert lines(run("tenants", "list")) == []
    made = [answer(run("tenants", "create", name))["id"] for name in ("a", "b", "c")]
    listed = lines(run("tenants", "list"))
    assert sorted(tenant["id"] for tenant in listed) == sorted(made)
    assert {tenant["webhook_secret"] for tenant in listed} == {None}


@pytest.mark.parametrize("command", [("create", "acme"), ("update", "ten_" + "0" * 26)])
@pytest.mark.parametrize(
    ("limit", "pointer"),
    [
        ("weight=0", "/limits/weight: "),
        ("weight=heavy", "/limits/weight: "),
        ("weight=", "/limits/weight: "),
        ("colour=red", "'colour' is not a limit. Limits: requests_per_minute, burst"),
        ("monthly_budget=5", "Did you mean monthly_budget_usd?"),
        ("monthly_budget_usd=-1", "/limits/monthly_budget_usd: "),
        ("monthly_budget_usd=NaN", "/limits/monthly_budget_usd: "),
        ("resolutions=480p", "/limits/resolutions: "),
        ('resolutions=["8k"]', "/limits/resolutions/0: "),
        ("webhook_url=ftp://a.example", "/limits/webhook_url: "),
        ("webhook_url=http://10.0.0.1/hook", "/limits/webhook_url: "),
        ("weight", "write NAME=VALUE"),
    ],
)
def test_tenant_invalid_limit_is_named(run: Run, command: tuple[str, ...], limit: str, pointer: str) -> None:
    assert pointer in errors(run("tenants", *command, "--limit", limit, exits=2))
    assert lines(run("tenants", "list")) == []


@pytest.fixture
def within(settings: Settings) -> Within:
    """Return a function that runs ``use`` with a runtime of its own, as a gateway or a worker does."""

    async def opened(use: Callable[[Runtime], Awaitable[Any]]) -> Any:
        async with open_runtime(settings) as runtime:
            return await use(runtime)

    return lambda use: asyncio.run(opened(use))


def create_queued(within: Within, tenant_id: str) -> str:
    """Create a queued generation of this tenant. Return its id."""

    async def create(runtime: Runtime) -> str:
        tenant = await runtime.tenants.service.get(tenant_id)
        return (await runtime.generations.creator.create(tenant, factories.create_request())).generation.id

    return str(within(create))


def test_tenant_delete_with_queued_work_needs_drain(run: Run, tenant_id: str, within: Within) -> None:
    name = create_queued(within, tenant_id)
    assert "1 generations have not ended" in errors(run("tenants", "delete", tenant_id, "--yes", exits=1))
    assert answer(run("tenants", "show", tenant_id))["suspended"] is False
    assert "delete it again" in errors(run("tenants", "delete", tenant_id, "--drain", "--yes", exits=1))
    assert answer(run("tenants", "show", tenant_id))["suspended"] is True
    within(lambda runtime: runtime.transitions.apply(name, lambda g: g.canceled(0, factories.NOW)))
    run("tenants", "delete", tenant_id, "--drain", "--yes")
    assert lines(run("tenants", "list")) == []


# --- keys -------------------------------------------------------------------------------------------------------------


def test_key_create_rotate_revoke_list(run: Run, tenant_id: str) -> None:
    old = answer(run("keys", "create", tenant_id, "--name", "ci", "--scope", "read", "--scope", "generate"))
    assert parse_key(old["key"]) is not None
    assert (old["name"], old["scopes"]) == ("ci", ["read", "generate"])
    new = answer(run("keys", "rotate", tenant_id, old["id"], "--overlap-hours", "0.5"))
    assert (new["name"], new["scopes"], new["expires_at"]) == ("ci", ["read", "generate"], None)
    assert answer(run("keys", "revoke", tenant_id, new["id"]))["revoked_at"] is not None
    listed = {key["id"]: key for key in lines(run("keys", "list", tenant_id))}
    assert {key["key"] for key in listed.values()} == {None}
    assert listed[old["id"]]["expires_at"] is not None
    assert listed[new["id"]]["revoked_at"] is not None


def test_key_create_without_scope_has_all(run: Run, tenant_id: str) -> None:
    assert answer(run("keys", "create", tenant_id))["scopes"] == ["generate", "read", "manage"]
    run("keys", "create", tenant_id, "--scope", "admin", exits=2)


@pytest.mark.parametrize("arguments", [("create",), ("list",), ("rotate", "x"), ("revoke", "x")])
def test_keys_unknown_tenant_exits_1(run: Run, arguments: tuple[str, ...]) -> None:
    command, *rest = arguments
    assert errors(run("keys", command, "ten_" + "0" * 26, *rest, exits=1))


# --- audit ------------------------------------------------------------------------------------------------------------


def test_audit_clean_exits_0(run: Run, tenant_id: str, within: Within) -> None:
    create_queued(within, tenant_id)
    assert run("audit").stdout.startswith("Clean: 1 ledger entries, 3 windows, 0 slots")
    assert answer(run("audit", "--json")) == {"clean": True, "differences": []}


def test_audit_difference_is_named_and_exits_1(run: Run, tenant_id: str, within: Within) -> None:
    name = create_queued(within, tenant_id)
    within(lambda runtime: runtime.redis.execute("SADD", keys.SLOTS, name))
    assert name in errors(run("audit", exits=1)).replace(" ", "")
    assert answer(run("audit", "--json", exits=1)) == {
        "clean": False,
        "differences": [
            {"what": f"slot of {name} (queued)", "expected": "no slot", "found": "a slot"},
            {"what": f"slot of {name} at its tenant", "expected": "a slot", "found": "no slot"},
        ],
    }


# --- secrets and settings ---------------------------------------------------------------------------------------------


def test_rotate_secret_key_encrypts_with_first_key(run: Run, tenant_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}SECRET_KEY", f"{NEW_SECRET_KEY},{factories.SECRET_KEY}")
    assert "1 tenants" in run("rotate-secret-key").stdout
    monkeypatch.setenv(f"{PREFIX}SECRET_KEY", NEW_SECRET_KEY)
    assert answer(run("tenants", "show", tenant_id))["id"] == tenant_id


@pytest.mark.parametrize("arguments", [("tenants", "list"), ("audit",), ("rotate-secret-key",), ("serve",)])
def test_settings_missing_are_named(run: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    for name in ("FAL_KEY", "SECRET_KEY"):
        monkeypatch.delenv(PREFIX + name)
    message = errors(run(*arguments, exits=2))
    assert "GATEWAY_FAL_KEY: is required. (The account's fal key" in message
    assert "GATEWAY_SECRET_KEY: is required. (Encrypts " in message


@pytest.mark.parametrize("arguments", [("tenants", "list"), ("serve",), ("worker",), ("beat",)])
def test_missing_setting_is_named_with_its_misspelt_variable(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.delenv("GATEWAY_FAL_KEY")
    monkeypatch.setenv("GATEWAY_FALKEY", "marked-value")
    message = errors(run(*arguments, exits=2))
    assert "GATEWAY_FALKEY: is not a setting: did you mean GATEWAY_FAL_KEY?" in message
    assert "marked-value" not in message


def test_unknown_variable_is_one_warning_of_a_command(
    run: Run, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GATEWAY_RETENTON", "marked-value")
    result = run("tenants", "list")
    text = result.stderr + capfd.readouterr().err
    (line,) = [line for line in text.splitlines() if "settings_unknown" in line]
    assert "GATEWAY_RETENTON (did you mean GATEWAY_RETENTION?)" in line
    assert "marked-value" not in text


def test_settings_not_json_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_RATES", "cheap")
    assert errors(run("tenants", "list", exits=2)).startswith("GATEWAY_RATES: is not JSON; ")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "GATEWAY_SECRET_KEY",
            "short",
            "must be at least 32 random bytes; this command makes them: openssl rand -hex 32. (Encrypts ",
        ),
        (
            "GATEWAY_WEBHOOK_ALLOWED_NETWORKS",
            '["inside"]',
            "must be a network, like 10.0.0.0/8. (Non-public networks ",
        ),
        ("GATEWAY_RETENTION", "month", "must be a number of seconds, or a duration like PT30S or P30D. (How long "),
        ("GATEWAY_UPSTREAM_CONCURRENCY", "many", "must be a whole number. (Slots: "),
        ("GATEWAY_UPSTREAM_CONCURRENCY", "0", "must be at least 1. (Slots: "),
        ("GATEWAY_PUBLIC_URL", "gateway", "must be a URL, like https://example.com. (URL at "),
        ("GATEWAY_LOG_LEVEL", "loud", "must be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'. (Lowest "),
    ],
)
def test_settings_wrong_value_is_named_and_described(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    assert errors(run("tenants", "list", exits=2)).startswith(f"{name}: {message}")


def test_settings_two_faults_alike_are_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_WEBHOOK_ALLOWED_NETWORKS", '["inside"]')  # neither of IPv4 nor of IPv6
    assert errors(run("tenants", "list", exits=2)).count("GATEWAY_WEBHOOK_ALLOWED_NETWORKS") == 1


@pytest.mark.parametrize(
    ("host", "cause"), [("127.0.0.1", "Address already in use"), ("203.0.113.1", "Cannot assign requested address")]
)
def test_serve_unusable_address_is_one_line(run: Run, host: str, cause: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        message = errors(run("serve", "--host", host, "--port", port, exits=1))
    action = "Stop the program that listens there, or choose another address with --host and --port."
    assert message == f"Cannot listen on port {port} of {host}: {cause}. {action}"


def test_serve_taken_metrics_port_names_its_setting(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        monkeypatch.setenv("GATEWAY_METRICS_PORT", port)
        message = errors(run("serve", "--port", "0", exits=1))
    assert message.startswith(f"Cannot listen on port {port} of 127.0.0.1: Address already in use.")
    assert message.endswith("with GATEWAY_METRICS_HOST and GATEWAY_METRICS_PORT.")


@pytest.mark.parametrize("process", ["worker", "beat"])
def test_process_taken_metrics_port_ends_it(settings: Settings, process: str) -> None:
    """Celery would catch the error, and the process would run on without its connections."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        environment = settings.model_copy(update={"metrics_port": port}).environment()
        ended = subprocess.run(
            [sys.executable, "-m", "service.cli", process],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == f"GATEWAY_METRICS_PORT {port} on 127.0.0.1: Address already in use"
    assert "Traceback" not in ended.stderr


def test_drain_interrupted_says_that_it_stays(settings: Settings, tenant_id: str, within: Within) -> None:
    create_queued(within, tenant_id)
    with subprocess.Popen(
        [sys.executable, "-m", "service.cli", "drain", "--reason", "tonight"],
        env={**os.environ, **settings.environment()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as waiting:
        assert waiting.stdout is not None
        assert json.loads(waiting.stdout.readline())["draining"] is True
        waiting.send_signal(signal.SIGINT)
        _, text = waiting.communicate(timeout=60)
    assert waiting.returncode == 130
    assert text.splitlines()[-1] == "No longer waiting; still draining. `resume` accepts new generations."


def test_worker_unknown_queue_is_refused(run: Run) -> None:
    assert "'dispach' is not one of dispatch" in errors(run("worker", "--queues", "dispach", exits=2))


@pytest.mark.parametrize("arguments", [("serve",), ("up",), ("listen", "--secret", "whsec_x")])
def test_port_out_of_range_is_refused(run: Run, arguments: tuple[str, ...]) -> None:
    assert "--port" in errors(run(*arguments, "--port", "99999", exits=2))


def test_serve_missing_certificate_is_refused(run: Run) -> None:
    assert "does not exist" in errors(run("serve", "--certificate", "no-such.pem", exits=2))


def test_stack_occupied_port_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=f"Port {port} is taken"):
            Stack(port=port).start()


def test_version_names_release_and_commit(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_COMMIT", "0123abcd")
    build_info.commit.cache_clear()
    assert run("--version").stdout.strip() == f"{version('seedance-gateway')} (0123abcd)"
    build_info.commit.cache_clear()


def test_unavailable_redis_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_REDIS_URL", "redis://127.0.0.1:9/0")
    assert "Redis: connection refused. `seedance-gateway doctor`" in errors(run("tenants", "list", exits=1))


# --- costs ------------------------------------------------------------------------------------------------------------


def test_adjust_changes_cost(run: Run, tenant_id: str, within: Within) -> None:
    g = factories.generation(tenant_id=tenant_id, created_at=datetime.now(UTC))

    async def end(runtime: Runtime) -> None:
        await runtime.stores.generations.create(g, factories.due())
        await runtime.stores.generations.finish(
            g.canceled(700_000, g.created_at), Due(sweep=g.created_at), [], now=g.created_at
        )

    within(end)
    rest = ("--operator", "jane", "--reason", "on fal's bill")
    adjusted = answer(run("adjust", g.id, "--amount", "-0.20", "--expected", "0.70", *rest))
    assert (adjusted["generation_id"], adjusted["amount"], adjusted["cost"]) == (g.id, "-0.200000", "0.500000")
    assert "0.500000" in errors(run("adjust", g.id, "--amount", "-0.20", "--expected", "0.70", *rest, exits=1))
    of_day = ("--tenant", tenant_id, "--end-user", g.end_user, "--day", adjusted["day"])
    assert answer(run("adjust", *of_day, "--amount", "1", "--expected", "0.5", *rest))["cost"] == "1.500000"
    assert "either generation_id" in errors(run("adjust", "--amount", "1", "--expected", "0", *rest, exits=2))
    assert answer(run("audit", "--json"))["clean"]


# --- unconfirmed submits ----------------------------------------------------------------------------------------------


def create_unconfirmed(within: Within, tenant_id: str) -> str:
    """Create an unconfirmed generation. Return its id."""
    name = create_queued(within, tenant_id)

    async def lose(runtime: Runtime) -> None:
        await runtime.transitions.apply(name, lambda g: g.submitting(factories.NOW))
        await runtime.transitions.apply(name, lambda g: g.unconfirmed())

    within(lose)
    return name


def test_unconfirmed_is_listed_and_resolved(run: Run, tenant_id: str, within: Within) -> None:
    names = [create_unconfirmed(within, tenant_id) for _ in range(2)]
    assert {line["id"] for line in lines(run("unconfirmed"))} == set(names)
    never = answer(run("resolve", names[0], "--never-happened", "--reason", "not in the dashboard"))
    assert (never["status"], never["error"]["code"]) == ("failed", "submission_unconfirmed")
    found = ("--fal-request-id", "request-1", "--reason", "by its prompt")
    assert "unchecked" in errors(run("resolve", names[1], *found, exits=1)), "fal is unreachable"
    adopted = answer(run("resolve", names[1], *found, "--unchecked"))
    assert (adopted["status"], adopted["fal_request_id"], adopted["tenant_id"]) == ("submitted", "request-1", tenant_id)
    assert lines(run("unconfirmed")) == []
    assert "submitted" in errors(run("resolve", names[1], *found, "--unchecked", exits=1))
    assert answer(run("audit", "--json"))["clean"] is True


def test_resolve_all_and_revive(run: Run, tenant_id: str, within: Within) -> None:
    names = [create_unconfirmed(within, tenant_id) for _ in range(2)]
    arguments = ("--never-happened", "--reason", "an outage", "--before", "2026-02-01T00:00:00Z")
    assert answer(run("resolve", "--all", *arguments)) == {"object": "dismissed", "dismissed": 2, "left": 0}
    assert lines(run("unconfirmed")) == []
    assert "fal_request_id" in errors(run("revive", names[0], "--reason", "x", exits=2))
    revived = answer(run("revive", names[0], "--reason", "it was there", "--fal-request-id", "request-9"))
    assert (revived["status"], revived["fal_request_id"]) == ("submitted", "request-9")
    assert "can be revived" in errors(run("revive", names[0], "--reason", "again", exits=1))
    assert lines(run("paid-and-lost")) == []
    assert answer(run("audit", "--json"))["clean"] is True


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--all", "--never-happened"), "--before"),
        (("--all", "--before", "2026-02-01T00:00:00Z", "--fal-request-id", "r"), "--never-happened"),
        (("gen_x", "--all", "--never-happened", "--before", "2026-02-01T00:00:00Z"), "--all"),
        (("--all", "--never-happened", "--before", "yesterday"), "/before: "),
    ],
)
def test_resolve_all_wrong_options_are_refused(run: Run, arguments: tuple[str, ...], message: str) -> None:
    assert message in errors(run("resolve", *arguments, "--reason", "x", exits=2))


@pytest.mark.parametrize(
    ("arguments", "exits", "message"),
    [
        (("--never-happened", "--reason", "x"), 1, "no such generation"),
        (("--reason", "x"), 2, "--never-happened"),
        (("--never-happened", "--fal-request-id", "r", "--reason", "x"), 2, "--never-happened"),
        (("--never-happened", "--unchecked", "--reason", "x"), 2, "goes with fal_request_id"),
        (("--fal-request-id", "../x", "--reason", "x"), 2, "/fal_request_id: "),
        (("--never-happened", "--reason", " "), 2, "/reason: "),
        (("--never-happened",), 2, "--reason"),
    ],
)
def test_resolve_invalid_is_refused(run: Run, arguments: tuple[str, ...], exits: int, message: str) -> None:
    assert message in errors(run("resolve", "gen_" + "0" * 26, *arguments, exits=exits))
