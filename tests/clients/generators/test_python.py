"""Clients in Python, generated from the document of a running gateway and used against it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from service.api.openapi.export import document
from service.cli.dev.stack import Stack
from tests.clients.tools import BUILD, python_environment, run
from tests.e2e.conftest import SAMPLES

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def programs() -> Path:
    return python_environment(HERE / "requirements.txt")


def operation_ids() -> set[str]:
    return {operation["operationId"] for item in document()["paths"].values() for operation in item.values()}


@pytest.fixture(scope="module")
def package(stack: Stack, programs: Path) -> Path:
    """Return a folder with the package ``generated`` of openapi-python-client. A warning fails."""
    folder = BUILD / "openapi-python-client"
    command: list[str | Path] = [programs / "openapi-python-client", "generate", "--fail-on-warning", "--overwrite"]
    command += ["--url", f"{stack.base_url}/openapi.json", "--config", HERE / "openapi_python_client.yaml"]
    command += ["--meta", "none", "--output-path", folder / "generated"]
    run(command, PATH=str(programs))
    return folder


def test_openapi_python_client_has_every_operation(package: Path, programs: Path) -> None:
    modules = {path.stem for path in package.glob("generated/api/*/*.py")} - {"__init__"}
    imports = "import pkgutil, importlib, generated as g\nfor m in pkgutil.walk_packages(g.__path__, 'generated.'):\n"

    run([programs / "python", "-c", f"{imports}    importlib.import_module(m.name)"], PYTHONPATH=str(package))

    assert modules == operation_ids()


def test_openapi_python_client_makes_typed_calls(package: Path, programs: Path, stack: Stack) -> None:
    script = HERE / "use_openapi_python_client.py"
    printed = run(
        [programs / "python", script, stack.base_url, stack.api_key, SAMPLES / "rocket.jpg"], PYTHONPATH=str(package)
    )

    assert_calls(json.loads(printed))


def assert_calls(found: dict[str, Any]) -> None:
    assert found["upload"][0] == "image/jpeg"
    assert found["create"] == ["queued", True]
    assert found["read"] == ["succeeded", True, True]
    assert found["list"] is True
    assert found["events"][-1] == "event: state"
    assert found["cancel"][0] in (200, 202)
    assert found["cancel"][1] == "GenerationView"
    assert found["endpoint"] == [True, True, True]
    assert found["usage"] == ["USD", True]
    assert found["402"] == [402, "Problem402", "max_cost_exceeded", "request", "0.010000", 402]
    assert found["404"] == [404, "Problem404", "not_found"]
    assert found["409"] == [409, "Problem409", "not_cancellable"]
    assert found["422"] == [422, "Problem422", "invalid", ["/priority", "/prompt"]]


def test_openapi_generator_overwrites_no_operation(stack: Stack, programs: Path) -> None:
    folder = BUILD / "openapi-generator"
    shutil.rmtree(folder, ignore_errors=True)
    options = ["-g", "python", "--additional-properties", "packageName=generated_by_openapi_generator"]
    command: list[str | Path] = [programs / "openapi-generator-cli", "generate", *options, "-o", folder]
    command += ["--ignore-file-override", HERE / "openapi_generator_ignore.txt"]

    printed = run([*command, "-i", f"{stack.base_url}/openapi.json"])

    assert "COLLISION" not in printed
    assert "Duplicate" not in printed
    script = HERE / "use_openapi_generator.py"
    found = json.loads(run([programs / "python", script, stack.base_url, stack.api_key], PYTHONPATH=str(folder)))
    assert set(found["operations"]) == operation_ids()
    assert found["usage"] == "USD"
    assert found["402"] == [402, "max_cost_exceeded", "request"]
    assert found["404"] == [404, "not_found"]
