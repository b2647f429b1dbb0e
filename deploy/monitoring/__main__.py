"""Write the dashboards of Grafana, the rules of Prometheus, and the same for Kubernetes and Helm. A test compares them.

``--runbook URL`` is the address of the page that alerts and dashboards link to.
"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Final

from monitoring import boards, rules
from monitoring.grafana import document

DEPLOY: Final = Path(__file__).parents[1]


def files(runbook: str | None = None) -> dict[Path, str]:
    """Return the text of each generated file by its path. ``runbook``: the URL of the page that they link to."""
    page = runbook or rules.COMPOSE_RUNBOOK
    dashboards = {
        DEPLOY / f"grafana/dashboards/{board.name}.json": document(board, runbook=page) for board in boards.EVERY
    }
    # A chart has all of its files in its folder. Copies, because Flux leaves out symbolic links.
    chart = {DEPLOY / "helm/files/dashboards" / path.name: text for path, text in dashboards.items()}
    return {
        **dashboards,
        **chart,
        DEPLOY / "prometheus/alerts.yml": rules.document(runbook=runbook),
        DEPLOY / "helm/files/alerts.yml": rules.document(runbook=runbook),
        DEPLOY / "kubernetes/base/rules.yaml": rules.prometheus_rule(runbook=runbook),
    }


if __name__ == "__main__":
    parser = ArgumentParser(prog="monitoring", description=__doc__)
    parser.add_argument("--runbook", metavar="URL", help="URL of the runbook, like https://wiki.example.com/runbook")
    for path, text in files(parser.parse_args().runbook).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
