"""What a person sees of a generation under way: one moving line on a terminal, in a log a line per state; on stderr."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.text import Text

_WORDS: Final = {
    "queued": "waiting in the gateway's queue",
    "submitting": "being sent to fal",
    "unconfirmed": "fal may have it; nothing is sent twice",
    "submitted": "waiting at fal",
    "in_progress": "fal is making the video",
    "succeeded": "the video is ready",
    "failed": "no video",
    "canceled": "canceled",
}


class Display:
    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._begun = time.monotonic()
        self._shown: tuple[str, int | None] = ("", None)
        self._status = self._console.status(Text(""), spinner="dots" if self._speaks_unicode else "line")

    @property
    def animated(self) -> bool:
        return self._console.is_terminal and not self._console.is_dumb_terminal

    @property
    def _speaks_unicode(self) -> bool:
        return self._console.encoding.lower().startswith("utf")

    @contextmanager
    def working(self, words: str) -> Iterator[None]:
        """The moving line, until the block ends."""
        self._say(words)
        if not self.animated:
            yield
            return
        with self._status:
            yield

    def show(self, generation: dict[str, Any]) -> None:
        """Its state and its place in the queue; in a log, estimates alone are not worth a line."""
        status, queue = str(generation.get("status", "")), generation.get("queue")
        if self.animated or (status, _ahead(queue)) != self._shown:
            self._shown = (status, _ahead(queue))
            self._say(f"{status}: {_WORDS.get(status, '')}{_place(queue)}")

    def log(self, message: str) -> None:
        self._console.print(Text(f"  {plain(message)}", style="dim"))

    def note(self, words: str) -> None:
        self._console.print(Text(plain(words), style="yellow"))

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

    def _say(self, words: str) -> None:
        line = _Line(plain(words), self._begun)
        if self.animated:
            self._status.update(line)
        else:
            self._console.print(line)


@dataclass(frozen=True, slots=True)
class _Line:
    """Words after a clock that runs."""

    words: str
    since: float

    def __rich__(self) -> Text:
        return Text(f"{time.monotonic() - self.since:5.1f} s  {self.words}")


def plain(text: str) -> str:
    """Without anything a terminal would obey: what fal or a prompt says is not ours."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _ahead(queue: Any) -> int | None:
    ahead = queue.get("position") if isinstance(queue, dict) else None
    return ahead if isinstance(ahead, int) else None


def _place(queue: Any) -> str:
    if (ahead := _ahead(queue)) is None:
        return ""
    seconds = queue.get("estimated_start_seconds")
    words = ", next" if ahead == 0 else f", {ahead} ahead"
    return f"{words}, starts in about {seconds:.0f} s" if seconds else words
