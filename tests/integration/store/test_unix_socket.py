"""unix://: the client and the broker reach Redis at its socket, in the database of the URL."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis as redis_py

from service.cli.dev.embedded_redis import EmbeddedRedis
from service.domain.work_queue import WorkQueue
from service.store.redis.client import Redis
from service.tasks import QUEUE_OF, celery_app, reach_broker, task_name
from tests.support import factories

PASSWORD = "p@ss/word of Redis"


@pytest.fixture(scope="module")
def unix_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("s")
    server = EmbeddedRedis(folder, options={"unixsocket": str(folder / "s"), "requirepass": PASSWORD})
    server.start()
    yield str(folder / "s")
    server.end()


@pytest.mark.parametrize(
    "options",
    ["unix://:p%40ss%2Fword%20of%20Redis@{}?db=3", "unix://{}?db=3&password=p%40ss%2Fword%20of%20Redis"],
)
async def test_client_and_broker_share_database_of_socket(unix_socket: str, options: str) -> None:
    url = options.format(unix_socket)
    async with Redis(url, timeout=5) as redis:
        await redis.execute("SET", "{sg}:n", 1)
    app = celery_app(factories.settings(url))
    await asyncio.to_thread(reach_broker, app)
    await asyncio.to_thread(app.send_task, task_name(WorkQueue.DISPATCH))

    with redis_py.Redis(unix_socket_path=unix_socket, password=PASSWORD, db=3) as client:
        assert client.get("{sg}:n") == b"1"
        assert client.llen(f"{{sg}}:broker:{QUEUE_OF[WorkQueue.DISPATCH]}") == 1
        client.flushdb()
    with redis_py.Redis(unix_socket_path=unix_socket, password=PASSWORD, db=0) as client:
        assert client.dbsize() == 0


def test_socket_without_server_is_an_error_of_the_broker(tmp_path: Path) -> None:
    from kombu.exceptions import OperationalError

    app = celery_app(factories.settings(f"unix://{tmp_path}/nothing"))
    with pytest.raises(OperationalError):
        reach_broker(app)
