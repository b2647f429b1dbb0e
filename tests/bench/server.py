"""The server of both floors: uvicorn as ``seedance-gateway serve`` runs the gateway."""

import sys
from typing import Any

import uvicorn

from service.api.http.listeners import listeners


def serve(app: Any) -> None:
    """Serve on the port of the command line."""
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
    )
    uvicorn.Server(config).run(sockets=listeners("127.0.0.1", int(sys.argv[1])))
