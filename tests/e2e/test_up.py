"""``up``: a stack on this machine, with TLS and a file of its environment."""

import json
import ssl
import subprocess
import sys
from pathlib import Path

import httpx

from service.cli.dev.child_processes import Child
from tests.support import factories


def test_up_serves_tls_and_writes_its_environment(tmp_path: Path) -> None:
    env_file = tmp_path / "stack.env"
    command = [sys.executable, "-m", "service.cli", "up", "--port", "0", "--tls", "--env-file", str(env_file)]
    child = Child("up", command, log=tmp_path / "up.log", stdout=subprocess.PIPE)
    try:
        stack = json.loads(child.first_line())
        assert stack["base_url"].startswith("https://")
        assert env_file.stat().st_mode & 0o777 == 0o600
        command = ["bash", "-c", 'source "$0"; echo "$GATEWAY $KEY $GATEWAY_REDIS_URL"', str(env_file)]
        sourced = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        assert sourced == [stack["base_url"], stack["api_key"], stack["redis_url"]]
        with httpx.Client(
            base_url=stack["base_url"],
            headers={"authorization": f"Bearer {stack['api_key']}"},
            verify=ssl.create_default_context(cafile=stack["certificate"]),
            timeout=30,
            trust_env=False,
        ) as client:
            created = client.post("/v1/generations", json=factories.create_body(prompt="sandbox:no-video a boat"))
            assert created.status_code == 202, created.text
            ended = client.get(created.headers["location"], params={"wait": 30})
            assert ended.status_code == 200
            assert stack["console_url"] == f"{stack['base_url']}/console"
            login = client.get(stack["login_url"])
            assert login.status_code == 200
            assert "<h1>Log in by link</h1>" in login.text
        printed = (tmp_path / "up.log").read_text()
        assert "Data and API key are temporary" in printed
        assert f"Console: {stack['login_url']}" in printed
        host = stack["base_url"].removeprefix("https://")
        assert f"FAL_KEY={stack['api_key']} FAL_RUN_HOST={host}/fal/run FAL_QUEUE_RUN_HOST={host}/fal/queue" in printed
        assert f"export SSL_CERT_FILE={stack['certificate']}" in printed
    finally:
        child.end()
