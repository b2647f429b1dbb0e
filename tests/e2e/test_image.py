"""The Dockerfile's steps, in order, in an empty folder, and the programs that they install. No container engine
runs: what an engine adds (layers, namespaces, the user) is not tested here."""

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.cli.dev.child_processes import Child, free_port
from service.cli.dev.embedded_redis import EmbeddedRedis
from tests.support import factories
from tests.support.dockerfile import Builder, Stage

ROOT = Path(__file__).parents[2]
MODULES = (
    "service.app, service.cli.main, service.store.redis.client, service.webhooks.sender, service.api.openapi.export, "
    "workers"
)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    """Build every stage, enter the gateway's stage, and make the files under its root read-only."""
    builder = Builder(ROOT / "Dockerfile", tmp_path_factory.mktemp("image"), hurried=("sandbox-build",))
    builder.build()
    builder.enter("gateway")
    builder.make_read_only()
    yield builder
    builder.make_writable()


@pytest.fixture(scope="module")
def gateway(image: Builder) -> Stage:
    return image.stages["gateway"]


def run(image: Builder, stage: Stage, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        image.command(*arguments),
        cwd=image.root,
        env={**image.environment(stage), **environment},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_image_skipped_steps_need_a_container_engine(image: Builder) -> None:
    assert set(image.left_out) == {"RUN useradd --system --uid 10001 gateway", "EXPOSE 8080 9100", "EXPOSE 9080"}


def test_image_final_stages_have_no_root_and_no_build_tools(image: Builder) -> None:
    for name in ("gateway", "sandbox"):
        assert image.stages[name].user == "10001"
    installed = {path.name for path in (image.root / "opt/gateway/bin").iterdir()}
    assert installed >= {"seedance-gateway", "celery", "python"}
    assert installed & {"pip", "pip3", "gcc", "hatchling", "wheel"} == set()
    assert [path.name for path in image.root.iterdir()] == ["opt"], "no sources next to the installed packages"


def test_image_packages_are_of_the_lock_file(image: Builder, gateway: Stage) -> None:
    code = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    found = {name.lower().replace("_", "-"): version for name, version in json.loads(
        run(image, gateway, "python", "-c", code).stdout).items()}  # fmt: skip
    locked = dict(
        line.split(" ", 1)[0].split("==")
        for line in (ROOT / "requirements.lock").read_text().splitlines()
        if "==" in line and not line.startswith((" ", "#"))
    )
    assert found.pop("seedance-gateway") == "0.1.0"
    assert {name: locked.get(name) for name in found} == found


def test_image_files_are_read_only(image: Builder, gateway: Stage) -> None:
    result = run(image, gateway, "python", "-c", "import pathlib; pathlib.Path('opt/gateway/x').write_text('x')")
    assert "PermissionError" in result.stderr or "Read-only" in result.stderr


@pytest.mark.parametrize("subcommand", ["serve", "worker", "beat", "doctor"])
def test_image_commands_print_help(image: Builder, gateway: Stage, subcommand: str) -> None:
    result = run(image, gateway, *gateway.entrypoint, subcommand, "--help")
    assert result.returncode == 0, result.stderr
    assert subcommand in result.stdout


def test_image_modules_can_be_imported(image: Builder, gateway: Stage) -> None:
    environment = factories.settings("redis://127.0.0.1:9/0").environment()
    result = run(image, gateway, "python", "-c", f"import {MODULES}; print(service.__file__)", **environment)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(str(image.root)), "the installed package, not the sources"


@pytest.fixture
def start(image: Builder, gateway: Stage, redis_url: str, tmp_path: Path) -> Iterator[Callable[..., Child]]:
    children: list[Child] = []

    def started(*arguments: str, **environment: str) -> Child:
        settings = factories.settings(redis_url).environment()
        everything = {**image.environment(gateway), **settings, **environment}
        command = image.command(
            "env", "-i", *(f"{k}={v}" for k, v in everything.items()), *gateway.entrypoint, *arguments
        )
        child = Child(arguments[0], command, log=tmp_path / f"{arguments[0]}.log")
        children.append(child)
        return child

    yield started
    for child in children:
        assert child.end() in (0, -signal.SIGTERM), (
            child.log_tail()
        )  # uvicorn raises the signal again after its shutdown


def test_image_serves_and_healthcheck_passes(
    image: Builder, gateway: Stage, start: Callable[..., Child], redis_server: EmbeddedRedis
) -> None:
    port = str(free_port())
    check = [part.replace("8080", port) for part in gateway.healthcheck]
    assert run(image, gateway, *check).returncode == 1
    child = start("serve", "--port", port)
    child.wait_until(lambda: run(image, gateway, *check).returncode == 0)
    assert httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).json()["status"] == "ready"
    pages = httpx.get(f"http://127.0.0.1:{port}/llms.txt", trust_env=False).text
    assert "/docs/runbook.md" in pages
    assert redis_server.url


@pytest.mark.parametrize("subcommand", ["worker", "beat"])
def test_image_runs_worker_and_beat(start: Callable[..., Child], subcommand: str) -> None:
    port = str(free_port())
    child = start(subcommand, GATEWAY_METRICS_PORT=port)
    child.wait_until(lambda: _answer(port) == 200)


def _answer(port: str) -> int:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code
    except httpx.HTTPError:
        return 0


def test_image_sandbox_is_a_separate_stage(image: Builder) -> None:
    image.make_writable()
    try:
        stage = image.enter("sandbox")
        result = run(image, stage, *stage.entrypoint, "--help")
        assert result.returncode == 0, result.stderr
        assert "imitation of fal" in result.stdout
    finally:
        image.enter("gateway")
        image.make_read_only()


def test_image_context_has_all_copied_files() -> None:
    """.dockerignore lets in the files that COPY needs, and no secrets or data."""
    from tests.support.dockerfile import instructions

    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied: list[Any] = [
        name
        for instruction, rest in instructions((ROOT / "Dockerfile").read_text())
        if instruction == "COPY" and not rest.startswith("--from")
        for name in rest.split()[:-1]
    ]
    assert [name for name in copied if not any(name == a or name.startswith(f"{a}/") for a in allowed)] == []
