"""A generation followed to its end: by its event stream, and by long polls while that is broken."""

from typing import Any, Final

from service.cli.client.http import ApiFailed, Client, TimedOut
from service.cli.client.progress import Display
from service.cli.client.sse import Event, NoEvents
from service.domain.status import TERMINAL

#: Seconds of a long poll after a stream that brought nothing; then the stream is tried again.
_POLL: Final = 10


class Following:
    def __init__(self, client: Client, display: Display, generation: dict[str, Any]) -> None:
        self.generation = generation
        self._client = client
        self._display = display
        self._last_event_id: str | None = None
        self._lines: set[tuple[str, ...]] = set()

    def to_the_end(self) -> dict[str, Any]:
        """The generation as it ended.

        Raises:
            TimedOut: the time is up.
            ApiFailed: the gateway has been out of reach for too long, or knows it no more.

        """
        while not self._has_ended():
            if not self._listen():
                self._see(self._client.read(self.generation["id"], wait=_POLL))
        return self.generation

    def _listen(self) -> bool:
        """One stream, up to its end or its breaking; whether it brought anything."""
        before = self._last_event_id
        try:
            for event in self._client.events(self.generation["id"], self._last_event_id):
                if event is not None:
                    self._hear(event)
        except TimedOut:
            raise
        except (ApiFailed, NoEvents) as error:
            self._display.note(f"The event stream broke off: {error}")
        return self._last_event_id != before

    def _hear(self, event: Event) -> None:
        match event.kind:
            case "state":
                self._see(event.data)
            case "queue":
                self._see({**self.generation, "queue": event.data})
            case "log":
                self._log(event.data)
        self._last_event_id = event.id or self._last_event_id

    def _see(self, generation: dict[str, Any]) -> None:
        self.generation = generation
        self._display.show(generation)
        for line in generation.get("logs") or ():
            self._log(line)

    def _log(self, line: dict[str, Any]) -> None:
        """Once, whether by the stream, by a state or by a poll."""
        name = tuple(str(line.get(part, "")) for part in ("timestamp", "level", "message"))
        if name not in self._lines:
            self._lines.add(name)
            self._display.log(name[2])

    def _has_ended(self) -> bool:
        return self.generation.get("status") in TERMINAL
