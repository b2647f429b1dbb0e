"""Waiting for the end of a generation: by its event stream, and by long polls while the stream is broken."""

from typing import Any, Final

from service.cli.client.deadline import ApiFailed, TimedOut
from service.cli.client.http import Client
from service.cli.client.progress import Display
from service.cli.client.sse import Event, InvalidStream
from service.domain.status import TERMINAL

#: Seconds of a long poll after a stream without any event; then the stream is tried again.
_POLL_SECONDS: Final = 10


class GenerationFollower:
    """Shows each change of a generation until it has ended. ``generation`` is the last known state."""

    def __init__(self, client: Client, display: Display, generation: dict[str, Any]) -> None:
        self.generation = generation
        self._client = client
        self._display = display
        self._last_event_id: str | None = None
        self._lines: set[tuple[str, ...]] = set()

    def wait_until_ended(self) -> dict[str, Any]:
        """Return the ended generation.

        Raises:
            TimedOut: the deadline has passed.
            ApiFailed: the gateway has been unreachable for too long, or does not know the generation.

        """
        while not self._has_ended():
            if not self._read_stream():
                self._update(self._client.read(self.generation["id"], wait=_POLL_SECONDS))
        return self.generation

    def _read_stream(self) -> bool:
        """Read one stream until it ends or breaks. Return whether it brought an event."""
        before = self._last_event_id
        try:
            for event in self._client.events(self.generation["id"], self._last_event_id):
                if event is not None:
                    self._handle(event)
        except TimedOut:
            raise
        except (ApiFailed, InvalidStream) as error:
            self._display.note(f"The event stream broke: {error}")
        return self._last_event_id != before

    def _handle(self, event: Event) -> None:
        match event.kind:
            case "state":
                self._update(event.data)
            case "queue":
                self._update({**self.generation, "queue": event.data})
            case "log":
                self._log(event.data)
        self._last_event_id = event.id or self._last_event_id

    def _update(self, generation: dict[str, Any]) -> None:
        self.generation = generation
        self._display.show(generation)
        for line in generation.get("logs") or ():
            self._log(line)

    def _log(self, line: dict[str, Any]) -> None:
        """Show a line of fal's log once: a log event, a state event and a poll can all bring it."""
        identity = tuple(str(line.get(part, "")) for part in ("timestamp", "level", "message"))
        if identity not in self._lines:
            self._lines.add(identity)
            self._display.log(identity[2])

    def _has_ended(self) -> bool:
        return self.generation.get("status") in TERMINAL
