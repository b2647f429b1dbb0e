"""The server of both floors: uvicorn as ``seedance-gateway serve`` runs the gateway."""

import sys
from typing import Any

import uvicorn


def serve(app: Any) -> None:
    """Serve on the port of the command line."""
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
    )
