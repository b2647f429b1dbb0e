"""Write ``deploy/grafana/dashboards/*.json`` and ``deploy/prometheus/alerts.yml``. A test compares them."""

from pathlib import Path
from typing import Final

from monitoring import boards, rules
from monitoring.grafana import document

DEPLOY: Final = Path(__file__).parents[1]


def files() -> dict[Path, str]:
    """Return the text of each generated file by its path."""
    dashboards = {DEPLOY / f"grafana/dashboards/{board.name}.json": document(board) for board in boards.EVERY}
    return {**dashboards, DEPLOY / "prometheus/alerts.yml": rules.document()}


if __name__ == "__main__":
    for path, text in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
