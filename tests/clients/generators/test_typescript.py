"""Clients in TypeScript, generated from the document of a running gateway, compiled, and used against it."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from service.api.openapi.export import document
from service.cli.dev.stack import Stack
from tests.clients.tools import node_environment, run
from tests.e2e.conftest import SAMPLES

HERE = Path(__file__).parent
SCHEMA = "schema.d.ts"


def operations() -> set[str]:
    """Return the operation ids of the routes in the form of JavaScript."""
    ids = [each["operationId"] for item in document()["paths"].values() for each in item.values()]
    return {re.sub(r"_(\w)", lambda found: found[1].upper(), name) for name in ids}


@pytest.fixture(scope="module")
def compiled(stack: Stack) -> Path:
    """Return a folder with three generated clients and two programs, after the compiler has accepted all of them."""
    folder = node_environment(HERE / "package.json")
    for name in ("compiled", "hey", "orval"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("tsconfig.json", "use_hey_api.ts", "use_openapi_fetch.ts"):
        shutil.copy(HERE / name, folder)
    url = f"{stack.base_url}/openapi.json"
    for command in (
        ["openapi-typescript", url, "--output", SCHEMA, "--default-non-nullable", "false"],
        ["openapi-ts", "--input", url, "--output", "hey", "--client", "@hey-api/client-fetch"],
        ["orval", "--input", url, "--output", "orval/api.ts", "--client", "fetch"],
        ["tsc", "--project", "."],
    ):
        printed = run(["npx", *command], cwd=folder)
        assert "warn" not in printed.lower(), printed
    return folder


def test_generators_have_every_operation(compiled: Path) -> None:
    types, hey, orval = [(compiled / name).read_text() for name in (SCHEMA, "hey/sdk.gen.ts", "orval/api.ts")]

    assert set(re.findall(r'operations\["(?!receive_[^c])(\w+)"\]', types)) == {
        each["operationId"] for item in document()["paths"].values() for each in item.values()
    }
    assert set(re.findall(r"export const (\w+) = <ThrowOnError", hey)) == operations()
    assert set(re.findall(r"export const (\w+) = async", orval)) == operations()


def test_openapi_fetch_makes_typed_calls(compiled: Path, stack: Stack) -> None:
    found = run_program(compiled, "use_openapi_fetch", stack, str(SAMPLES / "rocket.jpg"))

    assert found["upload"][0] == "image/jpeg"
    assert found["create"] == ["queued", True]
    assert found["read"] == ["succeeded", True]
    assert found["list"] is True
    assert found["events"][-1] == "event: state"
    assert found["cancel"] in (200, 202)
    assert found["endpoint"] == [True, True]
    assert found["usage"] == ["USD", True]
    assert found["402"] == ["max_cost_exceeded", "request", "0.010000"]
    assert found["404"] == "not_found"
    assert found["422"] == ["invalid", ["/priority", "/prompt"]]


def test_hey_api_makes_typed_calls(compiled: Path, stack: Stack) -> None:
    found = run_program(compiled, "use_hey_api", stack)

    assert (found["create"], found["read"]) == ("queued", True)
    assert found["cancel"] in (200, 202)
    assert found["usage"] == "USD"
    assert found["402"] == ["max_cost_exceeded", "request"]
    assert found["404"] == "not_found"


def run_program(folder: Path, name: str, stack: Stack, *arguments: str) -> Any:
    return json.loads(run(["node", f"compiled/{name}.js", stack.base_url, stack.api_key, *arguments], cwd=folder))
