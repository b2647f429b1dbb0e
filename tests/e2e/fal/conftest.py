"""The gateway over TLS, as the Python client requires, and the JavaScript client, installed for the tests only."""

import json
import os
import shutil
import ssl
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.certificate import write_certificate
from service.cli.dev.child_processes import Child, accepts, free_port
from service.cli.dev.stack import Stack

HERE = Path(__file__).parent
ENDPOINT = "bytedance/seedance-2.0/image-to-video"
JAVASCRIPT_CLIENT = "@fal-ai/client@1"


@dataclass
class Gateway:
    """Another gateway process of a stack, with its own certificate. After ``kill``, ``start`` starts it again."""

    stack: Stack
    port: int
    certificate: Path
    key: Path
    overrides: dict[str, str] = field(default_factory=dict)
    children: list[Child] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"https://{self.host}"

    def start(self) -> None:
        command = ["-m", "service.cli", "serve", "--port", str(self.port)]
        tls = ["--certificate", str(self.certificate), "--certificate-key", str(self.key)]
        child = Child(
            "gateway over TLS",
            [sys.executable, *command, *tls],
            log=self.stack.folder / f"gateway-{self.port}.log",
            environment={**self.stack.environment, "GATEWAY_PUBLIC_URL": self.url, **self.overrides},
        )
        self.children.append(child)
        child.wait_until(lambda: accepts(self.port))

    def kill(self) -> None:
        self.children[-1].kill()

    def end(self) -> None:
        for child in self.children:
            child.end()

    @property
    def environment(self) -> dict[str, str]:
        """Return all settings that a program with the official Python client needs."""
        return {
            "FAL_KEY": self.stack.api_key,
            "FAL_RUN_HOST": f"{self.host}/fal/run",
            "FAL_QUEUE_RUN_HOST": f"{self.host}/fal/queue",
            "FAL_REST_URL": f"{self.url}/fal/rest",
            "SSL_CERT_FILE": str(self.certificate),
        }

    def client(self) -> httpx.Client:
        headers = {"authorization": f"Key {self.stack.api_key}"}
        return httpx.Client(base_url=self.url, headers=headers, verify=self.context(), timeout=30, trust_env=False)

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))


def tls_gateway(stack: Stack, folder: Path) -> Gateway:
    certificate, key = write_certificate(folder)
    return Gateway(stack, free_port(), certificate, key)


def run(command: list[str], environment: dict[str, str], *, cwd: Path | None = None) -> str:
    """Return the output of the client."""
    ended = subprocess.run(
        command,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=cwd,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="session")
def gateway(stack: Stack, shared: ExitStack, tmp_path_factory: pytest.TempPathFactory) -> Gateway:
    opened = tls_gateway(stack, tmp_path_factory.mktemp("certificate"))
    shared.callback(opened.end)
    opened.start()
    return opened


@pytest.fixture(scope="session")
def javascript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which ``import "@fal-ai/client"`` works."""
    for tool in ("node", "npm"):
        assert shutil.which(tool), (
            f"{tool} is missing: the JavaScript client is tested too (apt-get install nodejs npm)"
        )
    folder = tmp_path_factory.mktemp("javascript")
    (folder / "package.json").write_text(json.dumps({"private": True, "type": "module"}))
    run(["npm", "install", "--no-audit", "--no-fund", JAVASCRIPT_CLIENT], {}, cwd=folder)
    return folder


def submits(stack: Stack, text: str) -> list[Any]:
    """Return the submits whose prompt contains this text and that fal would bill, from the oracle."""
    seen = httpx.get(f"{stack.sandbox_url}/_sandbox/requests", trust_env=False).raise_for_status().json()
    return [submit for submit in seen if text in submit["prompt"]]
