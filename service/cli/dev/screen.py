"""Output of the demo: lines with ticks, a spinner on a terminal, and a table of metrics."""

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
    """One row of the table: a counter, summed over the series with these labels."""

    counter: Counter
    meaning: str
    labels: Mapping[str, str]

    @property
    def name(self) -> str:
        return f"{next(iter(self.counter.describe())).name}_total"


class Screen:
    """Prints lines with ticks. On a terminal a spinner is below them; in a log the lines are the same."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._ascii = not self._console.encoding.lower().startswith("utf")

    def title(self) -> None:
        self._console.print(Text("Seedance Gateway: from a photo to a video", style="bold"))
        self.text("The sandbox simulates fal: nothing is sent to the internet, and nothing is paid.\n")

    def text(self, text: str) -> None:
        self._console.print(Text(text))

    def done(self, text: str) -> None:
        self._line("ok" if self._ascii else "✓", "green", text)

    def failed(self, text: str) -> None:
        self._line("failed:" if self._ascii else "✗", "red", text)

    def detail(self, text: str) -> None:
        self._console.print(Text(f"  {text}", style="dim"))

    @contextmanager
    def working(self, text: str) -> Iterator[Spinner]:
        """Show a spinner until the block ends. The caller may change its text; a log has only the first."""
        if not self._animated:
            self.text(f"  {text} ...")
        with self._console.status(Text(text), spinner="line" if self._ascii else "dots") as spinner:
            yield spinner

    def figures(self, figures: Sequence[Figure], exposition: str) -> None:
        table = Table(title="Five metrics of gateway and worker (/metrics)", title_justify="left", box=None)
        table.add_column("metric", no_wrap=True)
        table.add_column("value", justify="right", no_wrap=True)
        table.add_column("meaning")
        for figure in figures:
            table.add_row(figure.name, str(_total(exposition, figure)), figure.meaning)
        self._console.print()
        self._console.print(table)

    @property
    def _animated(self) -> bool:
        return self._console.is_terminal and not self._console.is_dumb_terminal

    def _line(self, mark: str, colour: str, text: str) -> None:
        self._console.print(Text.assemble((mark, colour), " ", text))


def _total(exposition: str, figure: Figure) -> int:
    """Return the sum of the counter over all series with the figure's labels."""
    return round(
        sum(
            sample.value
            for family in text_string_to_metric_families(exposition)
            for sample in family.samples
            if sample.name == figure.name and figure.labels.items() <= sample.labels.items()
        )
    )
