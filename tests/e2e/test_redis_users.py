"""The Redis of deploy/compose.yaml: the deployed configuration and users, with everything that the product does."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis as redis_py

from service.cli.dev.child_processes import Child, free_port
from service.cli.dev.embedded_redis import binary
from service.cli.dev.stack import Stack
from tests.e2e.conftest import OVERRIDES, client_of
from tests.guards.repository import ROOT
from tests.support.receiver import Receiver
from tests.support.redis_users import PASSWORD, as_gateway, users

OTHER = "not the gateway's"


@contextmanager
def deployed_server(folder: Path) -> Iterator[tuple[str, Child]]:
    """Start a server with the deployed files, and its data in this folder. Return the URL of its default user."""
    port = free_port()
    (folder / "users.acl").write_text("\n".join(users()) + "\n")
    options = ["--aclfile", str(folder / "users.acl"), "--port", str(port), "--dir", str(folder)]
    log = folder / f"redis-{port}.log"
    child = Child("redis", [binary(), str(ROOT / "deploy/redis.conf"), *options], log=log)
    try:
        child.wait_until(lambda: b"eady to accept connections" in child.log.read_bytes())
        yield f"redis://127.0.0.1:{port}/0", child
    finally:
        child.end()


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with deployed_server(tmp_path_factory.mktemp("deployed")) as (url, _):
        yield url


def test_transaction_is_loaded_after_a_kill(tmp_path: Path) -> None:
    """Redis repeats the append-only file as its default user, and checks the rights of commands in a transaction."""
    key = "{sg}test"
    with deployed_server(tmp_path) as (url, child):
        with redis_py.Redis.from_url(as_gateway(url)) as client, client.pipeline(transaction=True) as pipeline:
            pipeline.set(key, "1").rpush(f"{key}:list", "2").execute()
        child.process.kill()
        child.process.wait()
    with deployed_server(tmp_path) as (url, _), redis_py.Redis.from_url(as_gateway(url)) as client:
        assert (client.get(key), client.lrange(f"{key}:list", 0, -1)) == (b"1", [b"2"])


def test_default_user_is_refused(deployed: str) -> None:
    with redis_py.Redis.from_url(deployed) as client, pytest.raises(redis_py.AuthenticationError):
        client.ping()


@pytest.mark.parametrize(
    "command",
    [
        "FLUSHALL",
        "FLUSHDB",
        "KEYS {sg}*",
        "CONFIG SET maxmemory 0",
        "CONFIG REWRITE",
        "ACL LIST",
        "SHUTDOWN NOSAVE",
        "REPLICAOF 127.0.0.1 1",
        "MONITOR",
        "CLIENT KILL TYPE normal",
        "SAVE",
        "MODULE LIST",
        f"GET {OTHER}",
        f"SET {OTHER} 1",
        "PUBLISH other 1",
    ],
    ids=lambda command: command.split()[0].lower(),
)
def test_gateway_user_is_refused_what_it_does_not_need(deployed: str, command: str) -> None:
    url = deployed.replace("redis://", f"redis://gateway:{PASSWORD}@")
    words = [OTHER if word == "OTHER" else word for word in command.replace(OTHER, "OTHER").split()]
    with redis_py.Redis.from_url(url) as client, pytest.raises(redis_py.exceptions.NoPermissionError):
        client.execute_command(*words)


def test_gateway_user_may_do_everything_that_a_stack_does(tmp_path: Path) -> None:
    """A stack under the rules: creation to webhook, cancel, upload, usage, audit, doctor. Redis logs each refusal.

    Gateway, worker and beat use the Unix socket of Redis, for the broker too.
    """
    socket = str(tmp_path / "s")
    overrides = {**OVERRIDES, "redis_wait_replicas": 0, "redis_url": f"unix://{socket}?db=0"}
    with Stack(overrides=overrides, redis_options={"unixsocket": socket}) as stack, Receiver() as receiver:
        with redis_py.Redis.from_url(stack.redis.url) as client:
            client.execute_command("ACL", "SETUSER", "auditor", "on", "nopass", "~*", "&*", "+@all")
            rules = users()[1].split()[2:]
            client.execute_command("ACL", "SETUSER", "default", "reset", *rules, "nopass")
        stack.children["worker"].end()
        stack.start_worker()  # one that starts under the rules
        tenant = client_of(stack)
        with tenant.http:
            first = tenant.create(image_url=tenant.upload(), webhook_url=receiver.url)
            canceled = tenant.create("sandbox:no-video sandbox:seconds=600")
            assert tenant.http.post(f"/v1/generations/{canceled['id']}/cancel").is_success
            assert tenant.ended(first["id"])["status"] == "succeeded"
            receiver.wait_for(lambda received: len(received) >= 1)
            for path in ("/v1/usage", "/v1/generations", "/readyz"):
                assert tenant.http.get(path).status_code == 200, path
        for command in (["doctor"], ["audit"], ["tenants", "list"], ["pause", "--reason", "test"], ["resume"]):
            done = subprocess.run(
                [sys.executable, "-m", "service.cli", *command],
                env=stack.environment | {"PATH": "/usr/bin:/bin"},
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert "NOPERM" not in done.stdout + done.stderr, done
            assert command == ["doctor"] or done.returncode == 0, done
            if command == ["doctor"]:
                assert re.search(r"ok +broker", done.stdout), done
                assert re.search(r"ok +beat", done.stdout), done
        with redis_py.Redis.from_url(stack.redis.url, username="auditor", password="any") as client:
            refused = [(entry["reason"], entry["object"]) for entry in client.acl_log()]
    assert refused == []
