"""A master, its replicas and the Sentinels that monitor them: real processes, as an operator runs them."""

import contextlib
import time
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

import redis as redis_py
from redis.exceptions import RedisError

from service.cli.dev.child_processes import Child, free_port
from service.cli.dev.embedded_redis import EmbeddedRedis, binary

SERVICE: Final = "gateway"
PASSWORD: Final = "a password: with @/?#"
#: Milliseconds after which a master that does not respond is considered down. On a busy machine a live one may pause
#: for half a second: a second failover would follow, and two masters would answer for ten seconds.
_DOWN_AFTER: Final = 2_500


class Watched:
    """``with Watched(folder) as watched``: started, in sync, and known to all Sentinels."""

    def __init__(self, folder: Path, *, replicas: int = 1, sentinels: int = 1) -> None:
        self._folder = folder
        self._wanted = sentinels
        self.servers = [self._server(f"redis-{number}") for number in range(1 + replicas)]
        self.ports: list[int] = []
        self.sentinels: list[Child] = []

    def _server(self, name: str) -> EmbeddedRedis:
        data = self._folder / name
        data.mkdir()
        return EmbeddedRedis(data, options={"requirepass": PASSWORD, "masterauth": PASSWORD})

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        return f"sentinel://:{quote(PASSWORD, safe='')}@{hosts}/{SERVICE}/0"

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        for sentinel in self.sentinels:
            sentinel.end()
        for server in self.servers:
            server.end()

    def _start(self) -> None:
        master, *replicas = (server.start() for server in self.servers)
        for replica in replicas:
            ask(replica.port, "REPLICAOF", "127.0.0.1", str(master.port))
        until(lambda: all(_info(replica.port)["master_link_status"] == "up" for replica in replicas))
        for number in range(self._wanted):
            self._start_sentinel(number, master.port)
        until(lambda: all(_sees(port) == (self._wanted - 1, len(replicas)) for port in self.ports))

    def _start_sentinel(self, number: int, master: int) -> None:
        folder = self._folder / f"sentinel-{number}"
        folder.mkdir()
        port = free_port()
        conf = folder / "sentinel.conf"
        lines = (
            f"port {port}",
            "bind 127.0.0.1",
            f"dir {folder}",
            f"sentinel monitor {SERVICE} 127.0.0.1 {master} {self._wanted // 2 + 1}",
            f'sentinel auth-pass {SERVICE} "{PASSWORD}"',
            f"sentinel down-after-milliseconds {SERVICE} {_DOWN_AFTER}",
            f"sentinel failover-timeout {SERVICE} 10000",
        )
        conf.write_text("\n".join(lines) + "\n")
        child = Child(f"sentinel-{number}", [binary(), str(conf), "--sentinel"], log=folder / "sentinel.log")
        self.sentinels.append(child)
        self.ports.append(port)
        child.wait_until(lambda: _pongs(port))

    @property
    def master_port(self) -> int:
        """The master's port, as the first Sentinel reports it."""
        _, port = ask(self.ports[0], "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE, password=None)
        return int(port)

    def server_at(self, port: int) -> EmbeddedRedis:
        return next(server for server in self.servers if server.port == port)

    def fail_over(self) -> EmbeddedRedis:
        """Kill the master with ``kill -9``. Return it when all Sentinels name the same other one."""
        dead = self.server_at(self.master_port)
        dead.kill()
        until(lambda: self._names_another_than(dead.port), within=60)
        return dead

    def _names_another_than(self, dead: int | None) -> bool:
        named = {_named(port) for port in self.ports}
        return len(named) == 1 and named.isdisjoint((None, dead))


def ask(port: int, *command: str, password: str | None = PASSWORD) -> Any:
    with redis_py.Redis(port=port, password=password, socket_timeout=5, protocol=2, decode_responses=True) as client:
        return client.execute_command(*command)


def until(holds: Any, *, within: float = 20) -> None:
    give_up = time.monotonic() + within
    while not holds():
        assert time.monotonic() < give_up, "the condition did not become true in time"
        time.sleep(0.05)


def _info(port: int) -> dict[str, Any]:
    fields: dict[str, Any] = ask(port, "INFO", "replication")
    return fields


def _pongs(port: int) -> bool:
    with contextlib.suppress(RedisError):
        return bool(ask(port, "PING", password=None))
    return False


def _named(port: int) -> int | None:
    with contextlib.suppress(RedisError):
        answer = ask(port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE, password=None)
        return int(answer[1])
    return None


def _sees(port: int) -> tuple[int, int]:
    """Return the numbers of other Sentinels and of replicas that a Sentinel knows; no replicas of a dead master."""
    (fields,) = ask(port, "SENTINEL", "MASTERS", password=None)
    state = dict(zip(fields[::2], fields[1::2], strict=True))
    return int(state["num-other-sentinels"]), int(state["num-slaves"]) if state["flags"] == "master" else 0
