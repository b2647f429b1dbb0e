"""`python -m sandbox` as a process: its first line, its files, its stop."""

import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.integration.sandbox.driver import Fal
from tests.integration.sandbox.server import Server


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_stops_process_and_removes_its_data(
    start: Callable[..., Server], tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    server = start()
    async with httpx.AsyncClient(base_url=server.url, headers={"Authorization": "Key a"}) as http:
        await Fal(http).outcome()
        await http.post("/cdn/files/upload", content=b"kept while it runs")
    files = names(tmp_path)
    assert server.stop(number) == (0, "")
    assert files
    assert names(tmp_path) == []


def test_data_option_folder_survives_stop(start: Callable[..., Server], tmp_path: Path) -> None:
    first = start("--data", str(tmp_path / "new"))
    keys = httpx.get(f"{first.url}/rest/.well-known/jwks.json").json()["keys"]
    uploaded = httpx.post(f"{first.url}/cdn/files/upload", content=b"kept", headers={"Authorization": "Key a"})
    url = httpx.URL(uploaded.json()["access_url"])
    first.stop()
    second = start("--data", str(tmp_path / "new"))
    assert httpx.get(f"{second.url}{url.path}").content == b"kept"
    assert httpx.get(f"{second.url}/rest/.well-known/jwks.json").json()["keys"][1] == keys[1]


def test_tls_needs_only_certificate(start: Callable[..., Server]) -> None:
    server = start("--tls")
    trusting = ssl.create_default_context(cafile=server.announcement["certificate"])
    assert server.url.startswith("https://127.0.0.1:")
    assert httpx.get(f"{server.url}/healthz", verify=trusting).status_code == 200
    by_name = server.url.replace("127.0.0.1", "localhost")
    assert httpx.get(f"{by_name}/healthz", verify=trusting).status_code == 200
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{server.url}/healthz")


async def test_port_and_speed_options_are_used(start: Callable[..., Server]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = start("--port", str(port), speed=100)
    async with httpx.AsyncClient(base_url=server.url, headers={"Authorization": "Key a"}) as http:
        fal = Fal(http)
        request_id = await fal.submit()
        await fal.finish(request_id)
        inference = (await fal.status(request_id)).json()["metrics"]["inference_time"]
    assert server.url == f"http://127.0.0.1:{port}"
    assert inference == pytest.approx(0.6, abs=0.15)


def test_invalid_option_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_SPEED", "0")
    ended = subprocess.run([sys.executable, "-m", "sandbox"], capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert "speed" in ended.stderr
