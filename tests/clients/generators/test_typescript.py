"""Clients in TypeScript, generated from the document of a running gateway."""

from pathlib import Path

from service.cli.dev.stack import Stack
from tests.clients.tools import node_environment, run

MANIFEST = Path(__file__).with_name("package.json")


def test_openapi_typescript_generates_types(stack: Stack) -> None:
    folder = node_environment(MANIFEST)

    run(["npx", "openapi-typescript", f"{stack.base_url}/openapi.json", "--output", "schema.d.ts"], cwd=folder)

    run(["npx", "tsc", "--noEmit", "--strict", "schema.d.ts"], cwd=folder)
