"""Settings of waiting calls and event streams."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, Field

from service.config.types import Seconds


class StreamSettings(BaseModel):
    waiting_calls: Annotated[
        int,
        Field(
            ge=1,
            description="Most calls of one tenant that wait for a generation, in one gateway process. Another one gets "
            "429; with `Prefer: wait` it gets its response without waiting.",
        ),
    ] = 1000
    event_streams: Annotated[
        int, Field(ge=1, description="Most open event streams of one tenant, in one gateway process.")
    ] = 100
    event_heartbeat: Annotated[
        Seconds,
        Field(gt=timedelta(0), description="After this long without an event, the stream carries a comment."),
    ] = timedelta(seconds=15)
    event_stream_longest: Annotated[
        Seconds,
        Field(
            gt=timedelta(0),
            description="Longest duration of an event stream; its client then reconnects with `Last-Event-ID`.",
        ),
    ] = timedelta(minutes=30)
