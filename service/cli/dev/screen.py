"""What a person sees of the demo: lines with ticks, a spinner where there is a terminal, and a table of figures."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import Counter
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.status import Status as Spinner
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True, slots=True)
class Figure:
    counter: Counter
    meaning: str
    labels: Mapping[str, str]

    @property
    def name(self) -> str:
        return f"{next(iter(self.counter.describe())).name}_total"


class Screen:
    """Lines with ticks, under them a spinner where the terminal can show one; in a log the same lines."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._plain = not self._console.encoding.lower().startswith("utf")

    def title(self) -> None:
        self._console.print(Text("Seedance Gateway: from a photo to a video", style="bold"))
        self.say("A sandbox stands in for fal: nothing leaves this machine, and nothing is paid.\n")

    def say(self, words: str) -> None:
        self._console.print(Text(words))

    def done(self, words: str) -> None:
        self._line("ok" if self._plain else "✓", "green", words)

    def failed(self, words: str) -> None:
        self._line("failed:" if self._plain else "✗", "red", words)

    def detail(self, words: str) -> None:
        self._console.print(Text(f"  {words}", style="dim"))

    @contextmanager
    def working(self, words: str) -> Iterator[Spinner]:
        """The spinner's words may change; a log shows only these."""
        if not self._animated:
            self.say(f"  {words} ...")
        with self._console.status(Text(words), spinner="line" if self._plain else "dots") as spinner:
            yield spinner

    def figures(self, figures: Sequence[Figure], exposition: str) -> None:
        table = Table(title="Five numbers from /metrics of gateway and worker", title_justify="left", box=None)
        table.add_column("metric", no_wrap=True)
        table.add_column("value", justify="right", no_wrap=True)
        table.add_column("in plain words")
        for figure in figures:
            table.add_row(figure.name, str(_total(exposition, figure)), figure.meaning)
        self._console.print()
        self._console.print(table)

    @property
    def _animated(self) -> bool:
        return self._console.is_terminal and not self._console.is_dumb_terminal

    def _line(self, mark: str, colour: str, words: str) -> None:
        self._console.print(Text.assemble((mark, colour), " ", words))


def _total(exposition: str, figure: Figure) -> int:
    """Summed over all labels but the figure's own."""
    return round(
        sum(
            sample.value
            for family in text_string_to_metric_families(exposition)
            for sample in family.samples
            if sample.name == figure.name and figure.labels.items() <= sample.labels.items()
        )
    )
