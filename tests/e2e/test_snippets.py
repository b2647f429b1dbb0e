"""The shell blocks of each document, run in their order in one shell, against a whole stack."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.cli.dev.stack import Stack
from tests.e2e.conftest import OVERRIDES
from tests.guards.repository import ROOT
from tests.support.snippets import blocks, documents

SCRIPTS = {
    str(document.relative_to(ROOT)): script
    for document in documents()
    if (script := "\n".join(block.text for block in blocks(document) if block.runs))
}


@pytest.fixture(scope="module")
def own() -> Iterator[Stack]:
    """A stack that the documents may pause and drain."""
    with Stack(overrides=OVERRIDES, sandbox_speed=100.0) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder like a checkout after ``make``: the command in ``.venv/bin``, the samples in ``deploy``."""
    tools = tmp_path / ".venv/bin"
    tools.mkdir(parents=True)
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    curl = shutil.which("curl")
    assert curl, "the documents use curl"
    _program(tools / "seedance-gateway", f'exec {sys.executable} -m service.cli "$@"')
    _program(tools / "curl", f'exec {curl} --fail "$@"')  # a refused example fails the test
    return tmp_path


@pytest.mark.parametrize("document", SCRIPTS)
def test_shell_blocks_of_a_document_succeed(own: Stack, folder: Path, document: str) -> None:
    environment = {
        **os.environ,
        **own.environment,
        "PATH": f"{folder / '.venv/bin'}:{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'deploy'}",
        "NO_PROXY": "127.0.0.1",
        "GATEWAY": own.base_url,
        "KEY": own.api_key,
        "TENANT": own.tenant_id,
    }
    result = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", SCRIPTS[document]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert result.returncode == 0, f"{result.stdout[-3000:]}\n{result.stderr[-3000:]}"


def _program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
