"""``doctor``: each check, passed and failed, on real servers."""

import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis as redis_py
from pydantic import SecretStr
from typer.testing import CliRunner

from service.cli import app
from service.config.settings import Settings
from service.domain.operator import Role
from service.domain.tenant import Limits
from service.runtime import open_runtime, utc_now
from service.store.redis.memory import MemoryPolicy
from service.tasks import QUEUES
from service.usecases.operations.doctor import Finding
from service.usecases.operations.doctor.finding import CheckStatus
from tests.support import factories
from tests.support.redis_configuration import configured
from tests.support.redis_users import as_default
from tests.support.sentinels import Watched

SECRETS = (factories.FAL_KEY, factories.SECRET_KEY, factories.ADMIN_TOKEN)


@pytest.fixture
def settings(redis_url: str, sandbox_url: str) -> Iterator[Settings]:
    with configured(redis_url, appendfsync="always"):
        yield factories.sandbox_settings(redis_url, sandbox_url)


@pytest.fixture
async def fal(sandbox_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=sandbox_url) as client:
        yield client
        (await client.delete("/_sandbox/faults")).raise_for_status()


async def lines(settings: Settings, *, clock: Callable[[], Any] = utc_now) -> dict[str, Finding]:
    async with open_runtime(settings, clock=clock) as runtime:
        findings = await runtime.operations.doctor.run()
    assert len({finding.check for finding in findings}) == len(findings)
    for finding in findings:
        assert bool(finding.remedy) == (finding.status is not CheckStatus.OK), "a finding that is not ok has a remedy"
        assert not any(secret in repr(finding) for secret in SECRETS)
    return {finding.check: finding for finding in findings}


def shifted(by: timedelta) -> datetime:
    return utc_now() + by


async def status_of(settings: Settings, check: str) -> CheckStatus:
    return (await lines(settings))[check].status


# --- limits -----------------------------------------------------------------------------------------------------------


async def test_doctor_without_any_budget_warns(settings: Settings) -> None:
    found = await lines(settings)
    assert found["spending limits"].detail == "nothing limits spending of new tenants"
    assert found["spending limits"].status is CheckStatus.WARN
    for change in ({"account_daily_budget_usd": 100}, {"default_monthly_budget_usd": 100}):
        limited = await lines(settings.model_copy(update=change))
        assert limited["spending limits"].status is CheckStatus.OK


async def test_doctor_names_tenants_without_limits(settings: Settings) -> None:
    async with open_runtime(settings) as runtime:
        made = await runtime.tenants.service.create("acme", Limits(monthly_budget=1_000_000))
        assert (await lines(settings))["storage limits"].detail == f"nothing limits what is stored of acme ({made.id})"
        for number in range(4):
            await runtime.tenants.service.create(f"shop-{number}", Limits(stored_deliveries=10))
    found = await lines(settings.model_copy(update={"default_monthly_budget_usd": 100}))
    assert found["spending limits"].detail.startswith("nothing limits spending of shop-0 (ten_")
    assert found["spending limits"].detail.endswith("and 1 more")
    assert found["storage limits"].detail == f"nothing limits what is stored of acme ({made.id})"


# --- Redis ------------------------------------------------------------------------------------------------------------


async def test_doctor_names_unknown_variables(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await lines(settings))["settings"].status is CheckStatus.OK
    monkeypatch.setenv("GATEWAY_RETENTON", "marked-value")
    monkeypatch.setenv("GATEWAY_RETENTION_FILE", "/run/secrets/marked-value")
    found = (await lines(settings))["settings"]
    assert found.status is CheckStatus.WARN
    assert found.detail == (
        "unknown: GATEWAY_RETENTION_FILE (did you mean GATEWAY_RETENTION?), "
        "GATEWAY_RETENTON (did you mean GATEWAY_RETENTION?)"
    )


async def test_doctor_healthy_redis_is_ok(settings: Settings) -> None:
    found = await lines(settings)
    checks = ("", " version", " durability", " eviction", " memory", " replicas", " scripts")
    assert {check: found[f"redis{check}"].status for check in checks} == dict.fromkeys(checks, CheckStatus.OK)
    assert (found["redis"].detail, found["redis scripts"].detail) == ("reachable and writable", "loaded")
    assert found["clock"].status is CheckStatus.OK
    assert found["broker"].status is CheckStatus.OK
    assert found["secret key"].status is CheckStatus.OK


async def test_doctor_redis_unavailable_runs_other_checks(settings: Settings) -> None:
    found = await lines(settings.model_copy(update={"redis_url": "redis://127.0.0.1:9/0"}))
    assert (found["redis"].status, found["broker"].status) == (CheckStatus.FAIL, CheckStatus.FAIL)
    assert found["redis"].detail == "unavailable: connection refused"
    assert "connection refused" in found["broker"].detail
    assert found["fal key"].status is CheckStatus.OK
    assert "redis version" not in found


@pytest.mark.parametrize(
    ("change", "check", "expected"),
    [
        ({"appendonly": "no"}, "redis durability", CheckStatus.FAIL),
        ({"appendfsync": "everysec"}, "redis durability", CheckStatus.WARN),
        ({"appendfsync": "no"}, "redis durability", CheckStatus.FAIL),
        ({"maxmemory-policy": "allkeys-lru"}, "redis eviction", CheckStatus.WARN),
        ({"maxmemory-policy": "allkeys-lru", "maxmemory": "100mb"}, "redis eviction", CheckStatus.FAIL),
        ({"maxmemory": "100gb"}, "redis memory", CheckStatus.OK),
    ],
)
async def test_doctor_redis_setting_wrong_is_reported(
    settings: Settings, change: dict[str, str], check: str, expected: CheckStatus
) -> None:
    with configured(settings.redis_url, **change):
        assert await status_of(settings, check) is expected


@pytest.mark.parametrize(
    ("part", "expected"), [(0.5, CheckStatus.OK), (0.81, CheckStatus.WARN), (0.95, CheckStatus.FAIL)]
)
async def test_doctor_memory_near_limit_warns_then_fails(
    settings: Settings, part: float, expected: CheckStatus
) -> None:
    with redis_py.Redis.from_url(settings.redis_url) as client:
        client.setrange("{sg}:ballast", 30_000_000, "x")  # large, so that the memory of connections does not matter
        used = client.info("memory")["used_memory"]
    with configured(settings.redis_url, maxmemory=str(int(used / part))):
        assert await status_of(settings, "redis memory") is expected


@pytest.mark.parametrize(
    ("info", "setting", "source"),
    [
        ({"maxmemory": "1000", "total_system_memory": "9000"}, 5000, "(maxmemory)"),
        ({"maxmemory": "0", "total_system_memory": "9000"}, 5000, "(GATEWAY_REDIS_MEMORY_LIMIT)"),
        ({"total_system_memory": "9000"}, None, "(the machine's memory)"),
        ({}, None, "of an unknown limit"),
    ],
)
def test_doctor_memory_names_source_of_limit(info: dict[str, str], setting: int | None, source: str) -> None:
    from service.store.redis.client import Redis
    from service.usecases.operations.doctor import server

    redis = Redis("redis://127.0.0.1:9/0", timeout=1, memory=MemoryPolicy(setting, 0.7))
    found = server.memory(redis, {"used_memory": "600", **info})

    assert source in found.detail
    assert ("70%" in found.detail) == (found.status is not CheckStatus.WARN) == bool(info)


@pytest.mark.parametrize(
    ("replicas", "waited_for", "expected"),
    [
        *((0, 0, "ok"), (0, 1, "fail"), (1, 0, "warn"), (1, 1, "ok"), (2, 0, "warn"), (2, 1, "ok"), (2, 2, "ok")),
        *((3, 1, "warn"), (3, 2, "ok"), (4, 1, "warn"), (4, 2, "ok"), (4, 5, "fail"), (5, 2, "warn"), (5, 3, "ok")),
    ],
)
def test_doctor_replicas_waited_for_are_a_majority(replicas: int, waited_for: int, expected: str) -> None:
    from service.usecases.operations.doctor import server

    settings = factories.settings("redis://127.0.0.1:9/0", redis_wait_replicas=waited_for)
    assert server.replicas({"connected_slaves": str(replicas)}, settings).status == expected


async def test_doctor_restricted_redis_user_is_reported(settings: Settings) -> None:
    """Managed Redis servers refuse CONFIG and SCRIPT to some users."""
    with redis_py.Redis.from_url(as_default(settings.redis_url)) as client:
        client.acl_setuser("guest", True, nopass=True, keys=["*"], channels=["*"], commands=["+@all", "-config", "-script"])  # fmt: skip  # noqa: E501
    try:
        url = as_default(settings.redis_url).replace("redis://", "redis://guest:any@")
        found = await lines(settings.model_copy(update={"redis_url": url}))
    finally:
        with redis_py.Redis.from_url(as_default(settings.redis_url)) as client:
            client.acl_deluser("guest")
    assert found["redis durability"].status is CheckStatus.WARN
    assert found["redis scripts"].status is CheckStatus.FAIL


@pytest.mark.parametrize("refused", ["info", "set"])
async def test_doctor_refused_command_fails_redis_check(settings: Settings, refused: str) -> None:
    with redis_py.Redis.from_url(as_default(settings.redis_url)) as client:
        client.acl_setuser("guest", True, nopass=True, keys=["*"], channels=["*"], commands=["+@all", f"-{refused}"])
        try:
            url = as_default(settings.redis_url).replace("redis://", "redis://guest:any@")
            found = await lines(settings.model_copy(update={"redis_url": url}))
        finally:
            client.acl_deluser("guest")
    assert found["redis"].status is CheckStatus.FAIL
    assert f"Redis refuses {refused.upper()} (" in found["redis"].detail
    assert "fal key" in found, "the other checks run"


async def test_doctor_clock_skew_warns_then_fails(settings: Settings) -> None:
    for skew, expected in (
        (0.5, CheckStatus.OK),
        (1.5, CheckStatus.WARN),
        (-1.5, CheckStatus.WARN),
        (-3, CheckStatus.FAIL),
    ):
        found = await lines(settings, clock=partial(shifted, timedelta(seconds=skew)))
        assert found["clock"].status is expected, skew


def test_doctor_old_redis_fails() -> None:
    from service.usecases.operations.doctor import server

    versions = {"6.0.16": "fail", "6.2.14": "fail", "7.0.0": "ok", "7.4.1": "ok", "10.0": "ok", "": "fail"}
    assert {name: server.version({"redis_version": name}).status for name in versions} == versions


async def test_doctor_replicas_of_running_sentinels(tmp_path: Path, settings: Settings) -> None:
    with Watched(tmp_path) as watched:
        for wanted, expected in ((0, CheckStatus.WARN), (1, CheckStatus.OK), (2, CheckStatus.FAIL)):
            own = settings.model_copy(update={"redis_url": watched.url, "redis_wait_replicas": wanted})
            assert await status_of(own, "redis replicas") is expected, wanted


# --- processes --------------------------------------------------------------------------------------------------------


async def test_doctor_no_processes_fails(settings: Settings) -> None:
    found = await lines(settings)
    checks = ("beat", *(f"workers of {queue}" for queue in QUEUES))
    assert {check: found[check].status for check in checks} == dict.fromkeys(checks, CheckStatus.FAIL)


async def test_doctor_heartbeats_expire_after_15_seconds(settings: Settings) -> None:
    now = utc_now()
    async with open_runtime(settings) as runtime:
        await runtime.stores.heartbeats.note_beat(now)
        await runtime.stores.heartbeats.note_worker("a:1", ["dispatch", "webhooks"], now)
        await runtime.stores.heartbeats.note_worker("b:2", ["dispatch"], now)
    found = await lines(settings)
    assert found["beat"].status is CheckStatus.OK
    assert found["workers of dispatch"].detail == "2: a:1, b:2"
    assert found["workers of webhooks"].status is CheckStatus.OK
    assert found["workers of maintenance"].status is CheckStatus.FAIL
    later = await lines(settings, clock=lambda: utc_now() + timedelta(seconds=17))
    assert {later[check].status for check in ("beat", "workers of dispatch", "workers of webhooks")} == {
        CheckStatus.FAIL
    }
    assert "last heartbeat" in later["workers of dispatch"].detail


async def test_heartbeats_of_dead_workers_are_removed(settings: Settings) -> None:
    now = utc_now()
    async with open_runtime(settings) as runtime:
        await runtime.stores.heartbeats.note_worker("a:1", ["dispatch"], now - timedelta(minutes=11))
        await runtime.stores.heartbeats.note_worker("b:2", ["webhooks"], now)
        assert set((await runtime.stores.heartbeats.read()).workers) == {"webhooks"}


async def test_doctor_closed_gate_is_reported(settings: Settings, fal: httpx.AsyncClient) -> None:
    assert await status_of(settings, "dispatch") is CheckStatus.OK
    async with open_runtime(settings) as runtime:
        await runtime.operations.gate.drain("moving")
        assert await status_of(settings, "dispatch") is CheckStatus.WARN
        await runtime.operations.gate.resume()
        await runtime.operations.gate.pause("by hand")
        assert "by hand" in (await lines(settings))["dispatch"].detail
        await runtime.operations.gate.resume()
        await runtime.operations.gate.locked("Exhausted balance")
        assert await status_of(settings, "dispatch") is CheckStatus.FAIL


# --- fal and callbacks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (None, CheckStatus.OK),
        ("unauthorized", CheckStatus.FAIL),
        ("locked", CheckStatus.FAIL),
        ("503", CheckStatus.WARN),
    ],
)
async def test_doctor_fal_key_status_follows_fal(
    settings: Settings, fal: httpx.AsyncClient, kind: str | None, expected: CheckStatus
) -> None:
    before = (await fal.get("/_sandbox/requests")).json()
    if kind is not None:
        (await fal.post("/_sandbox/faults", json={"account": {"kind": kind}})).raise_for_status()
    assert await status_of(settings, "fal key") is expected
    assert (await fal.get("/_sandbox/requests")).json() == before, "the check costs nothing"


async def test_doctor_fal_unreachable_fails(settings: Settings) -> None:
    assert (
        await status_of(settings.model_copy(update={"fal_queue_url": factories.NOWHERE}), "fal key") is CheckStatus.FAIL
    )


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 500)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join(5)


async def test_doctor_public_url_is_checked(settings: Settings) -> None:
    assert await status_of(settings, "public URL") is CheckStatus.WARN, "unset"
    answers = [
        (200, b'{"status":"ok"}', CheckStatus.WARN),  # without TLS
        (200, b"<html>a parked domain</html>", CheckStatus.FAIL),
        (502, b'{"status":"ok"}', CheckStatus.FAIL),
    ]
    for status, body, expected in answers:
        with answering(status, body) as url:
            assert await status_of(settings.model_copy(update={"public_url": url}), "public URL") is expected
    assert (
        await status_of(settings.model_copy(update={"public_url": factories.NOWHERE}), "public URL") is CheckStatus.FAIL
    )


# --- settings ---------------------------------------------------------------------------------------------------------


async def test_doctor_wrong_secret_key_fails(settings: Settings) -> None:
    async with open_runtime(settings) as runtime:
        await runtime.tenants.service.create("acme")
    assert await status_of(settings, "secret key") is CheckStatus.OK
    other = settings.model_copy(update={"secret_key": SecretStr(factories.OTHER_SECRET_KEY)})
    assert await status_of(other, "secret key") is CheckStatus.FAIL


async def test_doctor_without_operators_warns(settings: Settings) -> None:
    assert await status_of(settings, "operators") is CheckStatus.WARN
    async with open_runtime(settings) as runtime:
        ada = await runtime.operators.service.create("Ada", Role.ADMIN)
        await runtime.operators.service.create_token(ada.id, expires_at=runtime.clock() + timedelta(days=15))
        assert await status_of(settings, "operators") is CheckStatus.OK
        assert await status_of(settings, "operators' tokens") is CheckStatus.OK

        ending, _ = await runtime.operators.service.create_token(ada.id, expires_at=runtime.clock() + timedelta(days=9))
        assert await status_of(settings, "operators' tokens") is CheckStatus.WARN
        await runtime.operators.service.revoke_token(ada.id, ending.id)
        assert await status_of(settings, "operators' tokens") is CheckStatus.OK


async def test_doctor_admin_token_may_be_unset(settings: Settings) -> None:
    assert await status_of(settings, "admin token") is CheckStatus.OK
    assert await status_of(settings.model_copy(update={"admin_token": None}), "admin token") is CheckStatus.OK


@pytest.mark.parametrize(
    ("networks", "expected"),
    [
        ((), CheckStatus.OK),
        (("10.0.0.0/8", "fd00::/64"), CheckStatus.OK),
        (("10.0.0.0/8", "0.0.0.0/0"), CheckStatus.FAIL),
        (("::/0",), CheckStatus.FAIL),
        (("169.254.0.0/16",), CheckStatus.FAIL),
        (("fd00::/8",), CheckStatus.FAIL),
    ],
)
async def test_doctor_webhook_networks_are_checked(
    settings: Settings, networks: tuple[str, ...], expected: CheckStatus
) -> None:
    allowed = tuple(map(ip_network, networks))
    own = settings.model_copy(update={"webhook_allowed_networks": allowed})
    assert await status_of(own, "webhook networks") is expected


# --- the command ------------------------------------------------------------------------------------------------------


def test_doctor_command_exits_1_on_failure(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    table = CliRunner().invoke(app, ["doctor"])
    assert table.exit_code == 1
    assert "seedance-gateway beat" in " ".join(table.stdout.split())
    json_output = CliRunner().invoke(app, ["doctor", "--json"])
    assert json_output.exit_code == 1
    report = json.loads(json_output.stdout)
    assert report["healthy"] is False
    assert {"check", "status", "detail", "remedy"} == set(report["findings"][0])
    assert not any(secret in table.output + json_output.output for secret in SECRETS)


def test_doctor_command_redis_unavailable_exits_1(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    own = settings.model_copy(update={"redis_url": "redis://:a-password@127.0.0.1:9/0"})
    for name, value in own.environment().items():
        monkeypatch.setenv(name, value)
    table = CliRunner().invoke(app, ["doctor", "--json"])
    assert (table.exit_code, isinstance(table.exception, SystemExit)) == (1, True)
    assert "a-password" not in table.output


# --- work that waits for people, and what a deployment may lack -------------------------------------------------------


UNDONE = ("unconfirmed submits", "paid and lost", "webhook receivers", "dead letters")


async def test_doctor_undone_work_is_named_with_its_tenant(settings: Settings, redis_url: str) -> None:
    found = await lines(settings)
    assert {found[check].status for check in UNDONE} == {CheckStatus.OK}

    async with open_runtime(settings) as runtime:
        shop = await runtime.tenants.service.create("shop")
    now = round(utc_now().timestamp() * 1000)
    with redis_py.Redis.from_url(as_default(redis_url)) as client:
        client.zadd("{sg}:unconfirmed", {"gen_x": now - 11 * 60_000})
        client.zadd("{sg}:paid_and_lost", {"gen_y": now})
        client.zadd(f"{{sg}}:tenant:{shop.id}:dead_letters", {"msg_x": 0, "msg_y": 0})
        client.zadd("{sg}:due:deliver:unproven", {shop.id: now})
        client.zadd(f"{{sg}}:tenant:{shop.id}:endpoint_queues:unproven", {f"{shop.id}:one": now})
        client.hset(f"{{sg}}:endpoint:{shop.id}:one:health", "first", now - 3 * 3_600_000)
    found = await lines(settings)

    assert {found[check].status for check in UNDONE} == {CheckStatus.WARN}
    assert found["unconfirmed submits"].detail == "1, the oldest for 11 min"
    assert found["dead letters"].detail == f"2 of shop ({shop.id})"
    assert found["webhook receivers"].detail == f"all attempts fail of shop ({shop.id}) for 3 h"


async def test_doctor_video_store_is_written_and_read(settings: Settings, tmp_path: Path) -> None:
    assert (await lines(settings))["video store"].status is CheckStatus.OK
    url = f"file://{tmp_path}/videos"
    found = (await lines(settings.model_copy(update={"media_url": url})))["video store"]
    assert (found.status, found.detail) == (CheckStatus.OK, "writable and readable")
    assert [path for path in (tmp_path / "videos").rglob("*") if path.is_file()] == [], "the object is deleted"

    (tmp_path / "videos" / "doctor").rmdir()
    (tmp_path / "videos" / "doctor").write_text("a file in place of the folder")
    assert (await lines(settings.model_copy(update={"media_url": url})))["video store"].status is CheckStatus.FAIL


async def test_doctor_billing_key_is_tried(settings: Settings, fal: httpx.AsyncClient) -> None:
    assert (await lines(settings))["billing key"].detail.startswith("GATEWAY_FAL_ADMIN_KEY is unset")
    with_key = settings.model_copy(update={"fal_admin_key": SecretStr("an-admin-key-of-fal")})
    assert (await lines(with_key))["billing key"].status is CheckStatus.OK
    away = with_key.model_copy(update={"fal_api_url": "http://127.0.0.1:9"})
    assert (await lines(away))["billing key"].status is CheckStatus.FAIL


async def test_doctor_collector_of_traces_is_reached(
    settings: Settings, sandbox_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await lines(settings))["traces"].status is CheckStatus.OK
    for url, expected in ((sandbox_url, CheckStatus.OK), ("http://127.0.0.1:9", CheckStatus.WARN)):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        assert await status_of(settings, "traces") is expected


async def test_doctor_cured_lock_says_how_to_open(settings: Settings, fal: httpx.AsyncClient) -> None:
    async with open_runtime(settings) as runtime:
        await runtime.operations.gate.locked("Exhausted balance")
        found = (await lines(settings))["dispatch"]
        assert (found.status, "fal answers now" in found.detail) == (CheckStatus.FAIL, True), "no worker tries a submit"
        await runtime.stores.heartbeats.note_worker("a:1", ["dispatch"], utc_now())
        found = (await lines(settings))["dispatch"]
        assert (found.status, "resume" in found.remedy) == (CheckStatus.WARN, True)
        (await fal.post("/_sandbox/faults", content='{"account": {"kind": "locked"}}')).raise_for_status()
        assert (await lines(settings))["dispatch"].remedy.startswith("Top up")
