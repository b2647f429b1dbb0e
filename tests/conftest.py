"""Fixtures of all tests: a real Redis, a real sandbox, the gateway as an ASGI app, and a clock that stands still."""

import gc
import json
import os
import shutil
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from copy import deepcopy
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import httpx
import hypothesis
import pytest
import redis as redis_py
from fastapi import FastAPI
from hypothesis import HealthCheck

from sandbox.certificate import write_certificate
from service import gc_tuning
from service.api import openapi
from service.api.metrics import metrics_text
from service.cli.dev.child_processes import Child
from service.cli.dev.embedded_redis import EmbeddedRedis
from service.config.settings import PREFIX, Settings
from service.domain.tenant import Tenant
from service.observability import log
from service.runtime import Runtime, open_runtime
from service.store.redis.client import Redis
from tests.support import factories, redis_choice
from tests.support.factories import Clock
from tests.support.redis_users import as_gateway, create_gateway_user

#: The duration of an example depends on the load of the machine, not on the property.
hypothesis.settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis.settings.load_profile("any machine")

# The tests start hundreds of Python processes. Each would compile the gateway again, and pytest the tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

#: A video in well under half a second.
SANDBOX_SPEED = 200

Connect = Callable[..., Awaitable[httpx.AsyncClient]]
"""``await connect()``: a client with a key of a fresh tenant. ``await connect(tenant, scopes=...)``: of this one."""

Scrape = Callable[[], Awaitable[str]]
"""``await scrape()``: the gateway's metrics as text."""

TESTS = Path(__file__).parent
PACKAGED_MODELS = TESTS.parent / "service/domain/models"


def pytest_configure(config: pytest.Config) -> None:
    """Let xdist use the order of the tests. It would start with the files of most tests, and tests/e2e has few.

    Put the Redis server of this run on PATH. The processes of xdist have the environment of the first one.

    Name one certificate as all authorities of this machine: each process of the gateway would load the real ones four
    times, which takes a tenth of the CPU of its start, and no test connects to a server that they have signed.
    """
    gc_tuning.collect_rarely()  # before the collection: the items of 12,000 tests live until the end
    config.option.loadscopereorder = False
    if not hasattr(config, "workerinput"):
        folder = TemporaryDirectory(prefix="redis-server-")
        config.add_cleanup(folder.cleanup)
        redis_choice.put_on_path(Path(folder.name))
        os.environ["SSL_CERT_FILE"] = str(write_certificate(Path(folder.name))[0])


def pytest_report_header() -> str:
    return f"redis: {redis_choice.version()}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests/e2e first, and then the files with slow tests: the longest file must not end alone, and the stack of
    tests/e2e can end before the other tests.

    Mark each test with what it needs: ``-m "not redis"`` selects the tests that start no Redis.

    Refuse two tests of the same id: xdist runs one of them and reports nothing about the other.
    """
    again = [nodeid for nodeid, count in Counter(item.nodeid for item in items).items() if count > 1]
    if again:
        raise pytest.UsageError(f"Several tests have the id {again[0]}: xdist would run one of them.")
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (not in_e2e(item), item.path not in slow))
    for item in items:
        for mark in _marks(item):
            item.add_marker(mark)


def pytest_collection_finish() -> None:
    """Let Python's collector search for garbage among the objects of the tests only, not among all collected items."""
    gc.collect()
    gc.freeze()


def in_e2e(item: pytest.Item) -> bool:
    return _is_in_e2e(item.path)


@cache
def _is_in_e2e(path: Path) -> bool:
    return (TESTS / "e2e") in path.parents


@cache
def _modules_used_by(module: ModuleType) -> frozenset[str | None]:
    return frozenset(getattr(value, "__module__", None) for value in vars(module).values())


def _marks(item: pytest.Item) -> Iterator[str]:
    used = _modules_used_by(item.module)  # type: ignore[attr-defined]  # only functions are collected
    fixtures = set(getattr(item, "fixturenames", ()))
    if in_e2e(item):
        yield "slow"
    if (
        in_e2e(item)
        or "redis_server" in fixtures
        or used & {"service.cli.dev.embedded_redis", "tests.support.sentinels"}
    ):
        yield "redis"
    if "javascript" in fixtures:
        yield "node"
    if "tests.support.prometheus" in used:
        yield "prometheus"


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_developer() -> None:
    """Remove the developer's own GATEWAY_* variables, and log in the format of production."""
    for name in [name for name in os.environ if name.upper().startswith(PREFIX)]:
        del os.environ[name]
    log.configure("INFO")


@pytest.fixture(scope="session", autouse=True)
def _certificates_read_once() -> Iterator[None]:
    """Share one TLS context: each client for fal would load the system's certificates, longer than most tests take."""
    original = httpx.create_ssl_context
    usual = original()

    def create(verify: Any = True, **options: Any) -> ssl.SSLContext:  # noqa: FBT002
        return usual if verify is True else original(verify=verify, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("httpx._transports.default.create_ssl_context", create)
        yield


@pytest.fixture(scope="session", autouse=True)
def _document_made_once() -> Iterator[None]:
    """Share the OpenAPI document of the same routes: to make it takes half a second of CPU, for each app of a test."""
    original, made = openapi._document, dict[Any, dict[str, Any]]()

    def document(app: FastAPI, *, server: str) -> dict[str, Any]:
        key = (server, *(f"{vars(route)['path']} {vars(route).get('methods')}" for route in app.routes))
        if key not in made:
            made[key] = original(app, server=server)
        return deepcopy(made[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openapi, "_document", document)
        yield


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """Return a server that no test kills, so that no write waits for the disk. Those of the stacks are durable."""
    server = EmbeddedRedis(tmp_path_factory.mktemp("redis"), options={"appendfsync": "no"})
    try:
        create_gateway_user(server.start().url)
        yield server
    finally:
        server.end()


@pytest.fixture(scope="session")
def redis_admin(redis_server: EmbeddedRedis) -> Iterator[redis_py.Redis]:
    """Return a client that may send every command."""
    with redis_py.Redis.from_url(redis_server.url) as client:
        yield client


@pytest.fixture
def redis_url(redis_server: EmbeddedRedis, redis_admin: redis_py.Redis) -> str:
    """An empty Redis, as the user that deploy/compose.yaml creates: a command that its rules lack fails tests."""
    redis_admin.flushall()
    return as_gateway(redis_server.url)


@pytest.fixture
def clock() -> Clock:
    """Return a clock that starts at the present, in whole seconds, and changes only when a test moves it."""
    return Clock(datetime.now(UTC).replace(microsecond=0))


@pytest.fixture
def settings(redis_url: str) -> Settings:
    """Return the settings of ``redis``, ``runtime``, ``app`` and ``api``. A module overrides it to change them."""
    return factories.settings(redis_url)


@pytest.fixture
async def redis(settings: Settings) -> AsyncIterator[Redis]:
    async with Redis(settings.redis_url, timeout=settings.redis_timeout) as opened:
        yield opened


@pytest.fixture
async def runtime(settings: Settings, clock: Clock) -> AsyncIterator[Runtime]:
    """Return the runtime of a worker. Next to ``app`` it acts as another process."""
    async with open_runtime(settings, clock=clock) as opened:
        yield opened


@pytest.fixture(scope="session")
def sandbox_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from running_sandbox(tmp_path_factory.mktemp("sandbox"))


def running_sandbox(folder: Path, *models_files: Path) -> Iterator[str]:
    """Run a sandbox, and yield its URL. It serves the models of this release and of ``models_files``."""
    child = Child(
        "sandbox",
        [sys.executable, "-m", "sandbox", "--port", "0", "--data", str(folder)],
        log=folder / "sandbox.log",
        environment={
            "SANDBOX_SPEED": str(SANDBOX_SPEED),
            "SANDBOX_MODELS_FILES": json.dumps([str(path) for path in (PACKAGED_MODELS, *models_files)]),
        },
        stdout=subprocess.PIPE,
    )
    assert child.process.stdout is not None
    try:
        line = child.process.stdout.readline()
        assert line, child.log_tail()
        yield json.loads(line)["url"]
    finally:
        child.end()
        child.process.stdout.close()


@pytest.fixture
def sandbox_url(sandbox_server: str) -> str:
    """Return a sandbox without jobs and faults: hanging jobs would occupy its slots in every later test."""
    httpx.post(f"{sandbox_server}/_sandbox/reset", timeout=60, trust_env=False).raise_for_status()
    return sandbox_server


@pytest.fixture(scope="session")
def javascript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which node finds the public library."""
    npm = shutil.which("npm")
    assert npm is not None, "this needs node and npm (Debian, Ubuntu: apt-get install nodejs npm)"
    folder = tmp_path_factory.mktemp("javascript")
    command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), "standardwebhooks@1"]
    installed = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert installed.returncode == 0, installed.stderr
    return folder


@pytest.fixture
async def app(settings: Settings, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    """Return the started gateway, on the clock of the test."""
    from service import app as module

    monkeypatch.setattr(module, "open_runtime", partial(open_runtime, clock=clock))
    monkeypatch.setattr(gc_tuning, "freeze", lambda: None)  # for a process that serves, not for hundreds of apps
    made = module.create_app(settings)
    async with made.router.lifespan_context(made):
        yield made


@pytest.fixture
async def connect(app: FastAPI) -> AsyncIterator[Connect]:
    async with AsyncExitStack() as stack:

        async def client(tenant: Tenant | None = None, **key: Any) -> httpx.AsyncClient:
            tenants = app.state.runtime.tenants
            tenant = tenant or await tenants.service.create("acme")
            text = (await tenants.api_keys.create(tenant.id, **key)).text
            return await stack.enter_async_context(client_of(app, text))

        yield client


@pytest.fixture
async def tenant(app: FastAPI) -> Tenant:
    """Return the tenant whose key ``api`` has."""
    made: Tenant = await app.state.runtime.tenants.service.create("acme")
    return made


@pytest.fixture
async def api(connect: Connect, tenant: Tenant) -> httpx.AsyncClient:
    return await connect(tenant)


@pytest.fixture
async def other_api(connect: Connect) -> httpx.AsyncClient:
    """Return a client with a key of another tenant."""
    return await connect()


@pytest.fixture
async def anonymous(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app) as client:
        yield client


@pytest.fixture
def scrape(app: FastAPI) -> Scrape:
    """Return what the metrics port of the gateway serves, without the port."""

    async def read() -> str:
        return (await metrics_text(app.state.runtime)).decode()

    return read


@pytest.fixture
async def operator(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client with the admin token."""
    async with client_of(app, factories.ADMIN_TOKEN) as client:
        yield client


def client_of(app: FastAPI, key: str | None = None, *, raises: bool = True) -> httpx.AsyncClient:
    """Open a client. ``raises``: an unhandled error in the app fails the test instead of becoming a 500."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=raises),
        base_url="http://gateway.test",
        headers={} if key is None else {"authorization": f"Bearer {key}"},
    )
