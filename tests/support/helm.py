"""Renders ``deploy/helm`` with Helm's own library (Helm 4, as helm-python-sdk carries it), without a cluster.

A child process has the library, because it brings Go's runtime: threads and signal handlers, which other tests of a
process must not have. One child renders all cases that a caller has, in a few milliseconds each.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import yaml

CHART: Final = Path(__file__).parents[2] / "deploy/helm"
#: The names of objects begin with it, and no label has it as its value by chance.
RELEASE: Final = "blue"
NAMESPACE: Final = "videos"
_CHILD: Final = """
import json, sys
import helm_python as helm

def rendered(values):
    try:
        return {"templates": chart.render(values, name=name, namespace=namespace)}
    except helm.HelmError as error:
        return {"error": str(error)}

path, name, namespace = sys.argv[1:]
lint = helm.lint(path, strict=True)
with helm.Chart.load(path) as chart:
    cases = {case: rendered(values) for case, values in json.load(sys.stdin).items()}
    metadata = chart.metadata
json.dump({"version": helm.helm_sdk_version(), "lint": lint, "metadata": metadata, "cases": cases}, sys.stdout)
"""
Document = dict[str, Any]
Values = dict[str, Any]


class Rendering:
    """The objects and the notes of one set of values, or the error of Helm."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.error: str = answer.get("error", "")
        self.templates: dict[str, str] = {
            path.rpartition("/")[2]: text for path, text in answer.get("templates", {}).items()
        }

    @property
    def notes(self) -> str:
        return self.templates["NOTES.txt"]

    @cached_property
    def documents(self) -> list[Document]:
        assert not self.error, self.error
        texts = (text for path, text in sorted(self.templates.items()) if path.endswith(".yaml"))
        return [document for text in texts for document in yaml.load_all(text, yaml.CSafeLoader) if document]

    def find(self, kind: str, name: str) -> Document:
        (found,) = (d for d in self.documents if (d["kind"], d["metadata"]["name"]) == (kind, f"{RELEASE}-{name}"))
        return found

    def names(self, kind: str) -> set[str]:
        return {d["metadata"]["name"].removeprefix(f"{RELEASE}-") for d in self.documents if d["kind"] == kind}


def report(cases: Mapping[str, Values]) -> Document:
    """Return Helm's version, the findings of its linter, the chart's metadata, and the answer of each case."""
    command = [sys.executable, "-c", _CHILD, str(CHART), RELEASE, NAMESPACE]
    child = subprocess.run(command, input=json.dumps(cases), capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
    answer: Document = json.loads(child.stdout)
    return answer


def render(cases: Mapping[str, Values]) -> dict[str, Rendering]:
    return {case: Rendering(answer) for case, answer in report(cases)["cases"].items()}
