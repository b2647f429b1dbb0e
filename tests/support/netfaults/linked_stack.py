"""A stack whose processes reach each other over links with faults."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from service.cli.dev.child_processes import Child
from service.cli.dev.stack import Stack
from service.config.settings import Settings
from tests.support import s3
from tests.support.chaos.hasty import MODULE
from tests.support.chaos.run import short_waits
from tests.support.netfaults.faulty_link import Network
from tests.support.receiver import Receiver

#: Links by name: from the host that connects to the one that listens.
LINKS: Final = (
    "client-gateway",
    "gateway-redis",
    "worker-redis",
    "beat-redis",
    "worker-fal",
    "fal-gateway",
    "worker-receiver",
    "worker-storage",
)


@dataclass
class LinkedStack(Stack):
    """A stack over links. ``direct_url`` is the gateway's without the link of its clients."""

    network: Network = field(default_factory=Network)

    @property
    def base_url(self) -> str:
        return f"http://{self.network.links['client-gateway'].authority}"

    @property
    def direct_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def link_all(self, receiver: Receiver, storage: s3.S3 | None) -> None:
        """Open the links, before the start of the processes behind them."""
        targets = {
            "client-gateway": lambda: self.port or 0,
            "fal-gateway": lambda: self.port or 0,
            "gateway-redis": lambda: self.redis.port,
            "worker-redis": lambda: self.redis.port,
            "beat-redis": lambda: self.redis.port,
            "worker-fal": lambda: _port(self.sandbox_url),
            "worker-receiver": lambda: _port(receiver.base_url),
            "worker-storage": lambda: 0 if storage is None else _port(storage.url),
        }
        for name in LINKS:
            self.network.link(name, targets[name])

    def _settings(self) -> Settings:
        settings = super()._settings()
        return settings.model_copy(update={"public_url": f"http://{self.network.links['fal-gateway'].authority}"})

    def _python(self, name: str, *arguments: str, **changes: Any) -> Child:
        links = self.network.links
        own: dict[str, Any] = {"redis_url": f"redis://{links[f'{name}-redis'].authority}/0"}
        if name == "worker":
            fal = f"http://{links['worker-fal'].authority}"
            own |= {"fal_queue_url": f"{fal}/queue", "fal_rest_url": f"{fal}/rest", "fal_api_url": f"{fal}/api/v1"}
        return super()._python(name, *arguments, **own, **changes)


class LinkedReceiver(Receiver):
    """A receiver whose URL for the gateway leads over a link of the network."""

    network: Network

    @property
    def url(self) -> str:
        return f"http://{self.network.links['worker-receiver'].authority}/hook"


@contextmanager
def linked_stack(
    folder: Path, *, overrides: dict[str, Any], seed: int, storage: bool
) -> Iterator[tuple[LinkedStack, LinkedReceiver]]:
    """Start a stack with one worker. ``storage``: copy videos to an S3 server, which takes seconds to start."""
    with ExitStack() as opened:
        network = opened.enter_context(Network(seed))
        receiver = opened.enter_context(LinkedReceiver())
        receiver.network = network
        store = opened.enter_context(s3.running(folder)) if storage else None
        media = {} if store is None else {"media_url": f"s3://{s3.BUCKET}/videos"}
        stack = LinkedStack(worker=False, overrides={**overrides, **media}, worker_app=MODULE, network=network)
        stack.link_all(receiver, store)
        opened.enter_context(short_waits())
        if store is not None:
            store.empty()
            patch = opened.enter_context(pytest.MonkeyPatch.context())
            for name, value in store.environment.items():
                patch.setenv(name, value)
            patch.setenv("AWS_ENDPOINT_URL", f"http://{network.links['worker-storage'].authority}")
        opened.enter_context(stack)
        stack.start_worker()
        stack.start_beat()
        yield stack, receiver


def _port(url: str) -> int:
    return int(url.rstrip("/").rpartition(":")[2])
