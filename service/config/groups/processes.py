"""Settings of the processes: retention, shutdown, metrics and logs."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from service.config.types import Seconds


class ProcessSettings(BaseModel):
    retention: Annotated[
        Seconds,
        Field(
            gt=timedelta(0), description="How long ended generations, their idempotency keys and deliveries are stored."
        ),
    ] = timedelta(days=30)
    shutdown_grace: Annotated[
        Seconds,
        Field(
            ge=timedelta(0),
            description="How long a stopping process finishes its work; submits have `GATEWAY_FAL_TIMEOUT` in "
            "addition.",
        ),
    ] = timedelta(seconds=20)
    connections: Annotated[
        int,
        Field(
            ge=8,
            description="Most open connections of one gateway process. A further one closes the connection that is "
            "idle for longest.",
        ),
    ] = 4096
    keep_alive: Annotated[
        Seconds,
        Field(
            ge=timedelta(seconds=1),
            description="How long the gateway leaves an idle connection open. It must be longer than a load "
            "balancer does, often 60 seconds.",
        ),
    ] = timedelta(seconds=75)
    metrics_host: Annotated[str, Field(description="Address of the metrics port.")] = "127.0.0.1"
    metrics_port: Annotated[
        int,
        Field(
            ge=0,
            le=65535,
            description="Metrics port: `/metrics` of a gateway, which has no `/metrics` on its own port; `/metrics` "
            "and `/healthz` of a worker or beat; 0: none. Processes on one machine need a port each.",
        ),
    ] = 0
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], Field(description="Lowest level that is logged.")
    ] = "INFO"
    log_format: Annotated[
        Literal["auto", "json", "console"],
        Field(description="`json`, `console` for people, or `auto`: `console` on a terminal, otherwise `json`."),
    ] = "auto"
