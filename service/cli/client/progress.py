"""Progress of a generation on stderr: an animated line on a terminal, otherwise a line for each status."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.text import Text

_STATUS_TEXTS: Final = {
    "queued": "waiting in the gateway's queue",
    "submitting": "a worker submits it to fal",
    "unconfirmed": "fal may have accepted it; it is not sent again",
    "submitted": "waiting at fal",
    "in_progress": "fal renders the video",
    "succeeded": "the video is ready",
    "failed": "no video",
    "canceled": "canceled",
}


class Display:
    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._started = time.monotonic()
        self._shown: tuple[str, int | None, str | None] = ("", None, None)
        self._status = self._console.status(Text(""), spinner="dots" if self._encodes_unicode else "line")

    @property
    def animated(self) -> bool:
        return self._console.is_terminal and not self._console.is_dumb_terminal

    @property
    def _encodes_unicode(self) -> bool:
        return self._console.encoding.lower().startswith("utf")

    @contextmanager
    def working(self, text: str, *, stays: bool = False) -> Iterator[None]:
        """Show the animated line until the block ends. ``stays``: the text is not replaced by the next one."""
        if stays and self.animated:
            self._console.print(Text(plain(text)))
        self._print(text)
        if not self.animated:
            yield
            return
        with self._status:
            yield

    def show(self, generation: dict[str, Any]) -> None:
        """Show status, position in the queue and hold. Without a terminal, a new estimate alone prints no line."""
        status, queue = str(generation.get("status", "")), generation.get("queue")
        shown = (status, _ahead(queue), _hold(queue))
        if self.animated or shown != self._shown:
            self._shown = shown
            self._print(f"{status}: {_STATUS_TEXTS.get(status, '')}{_queue_text(queue)}")

    def log(self, message: str) -> None:
        self._console.print(Text(f"  {plain(message)}", style="dim"))

    def note(self, text: str) -> None:
        self._console.print(Text(plain(text), style="yellow"))

    @contextmanager
    def downloading(self) -> Iterator[Callable[[int, int | None], None]]:
        columns = (
            TextColumn("downloading"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console, transient=True, disable=not self.animated) as bar:
            task = bar.add_task("", total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    def _print(self, text: str) -> None:
        line = _TimedLine(plain(text), self._started)
        if self.animated:
            self._status.update(line)
        else:
            self._console.print(line)


@dataclass(frozen=True, slots=True)
class _TimedLine:
    """A text after the elapsed time, which is computed at each refresh."""

    text: str
    started: float

    def __rich__(self) -> Text:
        return Text(f"{time.monotonic() - self.started:5.1f} s  {self.text}")


def plain(text: str) -> str:
    """Replace control characters by spaces: texts of fal and of prompts must not control the terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def _ahead(queue: Any) -> int | None:
    ahead = queue.get("position") if isinstance(queue, dict) else None
    return ahead if isinstance(ahead, int) else None


def _hold(queue: Any) -> str | None:
    hold = queue.get("hold_reason") if isinstance(queue, dict) else None
    return hold if isinstance(hold, str) else None


def _queue_text(queue: Any) -> str:
    if (ahead := _ahead(queue)) is None:
        return ""
    seconds = queue.get("estimated_start_seconds")
    position = ", next" if ahead == 0 else f", {ahead} ahead"
    if (hold := _hold(queue)) is not None:
        return f"{position}, held: {hold}"
    return f"{position}, starts in about {seconds:.0f} s" if seconds else position
