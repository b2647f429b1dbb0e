"""`python -m sandbox`: starts the HTTP server; the first line on stdout is JSON with its address."""

import argparse
import asyncio
import gc
import json
import signal
import socket
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from PIL import Image

from sandbox import models_file
from sandbox.app import create_app
from sandbox.certificate import write_certificate
from sandbox.connection import DroppableProtocol
from sandbox.endpoints import ENDPOINTS
from sandbox.settings import Settings

#: Seconds until an idle connection is closed. A short limit would close connections that a client is about to reuse.
KEEP_ALIVE = 600
#: With 50,000 jobs in memory the default collects every 700 objects: a full pass stalls all requests for 150 ms.
COLLECTION = (50_000, 50, 100)


class Server(uvicorn.Server):
    """Prints the address when it listens, and exits with code 0 on SIGTERM instead of raising the signal again."""

    def __init__(self, config: uvicorn.Config, announcement: dict[str, str]) -> None:
        super().__init__(config)
        self._announcement = announcement

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        sys.stdout.write(json.dumps(self._announcement) + "\n")
        sys.stdout.flush()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="sandbox-") as temporary:
        serve(options.host, options.port, options.data or Path(temporary), tls=options.tls)


def serve(host: str, port: int, data: Path, *, tls: bool) -> None:
    ENDPOINTS.update(models_file.read(Settings().models_files))
    listener = socket.create_server((host, port), backlog=4096)
    address = f"{host}:{listener.getsockname()[1]}"
    announcement = {"url": f"{'https' if tls else 'http'}://{address}"}
    config = uvicorn.Config(
        create_app(data=data),
        loop="uvloop",
        http=DroppableProtocol,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=1,
    )
    if tls:
        certificate, key = write_certificate(data)
        config.ssl_certfile, config.ssl_keyfile = str(certificate), str(key)
        announcement["certificate"] = str(certificate)
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the model checks sizes itself
    gc.freeze()
    gc.set_threshold(*COLLECTION)
    Server(config, announcement).run(sockets=[listener])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="An imitation of fal's queue platform.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    parser.add_argument("--data", type=Path, help="folder for files; default: a temporary folder")
    parser.add_argument("--tls", action="store_true", help="https with a self-signed certificate")
    return parser.parse_args()


if __name__ == "__main__":
    main()
