"""The chart and kustomize build the same objects, field by field, but for what only one of the tools has."""

import json
import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest

from service.config.settings import Settings
from tests.guards.repository import ROOT
from tests.support.manifests import BUILDS, Document, built_by

#: Labels that distinguish releases and charts.
HELM_LABELS = {
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
}


def comparable(document: Document) -> Document:
    found: Document = _without_labels(document)
    found["metadata"].pop("namespace", None)
    for label in ("name", "part-of"):  # kustomize gives them to some objects only, and nothing selects these by them
        found["metadata"].get("labels", {}).pop(f"app.kubernetes.io/{label}", None)
    if not found["metadata"].get("labels"):
        found["metadata"].pop("labels", None)
    if document["kind"] == "Deployment":
        template = found["spec"]["template"]
        annotations = template["metadata"].pop("annotations", {})
        assert set(annotations) <= {"checksum/settings"}, "kustomize has a hash in the name of the ConfigMap"
        (container,) = template["spec"]["containers"]
        container["image"] = container["image"].removesuffix(f":{_version()}")
    return found


def _version() -> str:
    version: str
    (version,) = re.findall(r'(?m)^version = "(.+)"$', (ROOT / "pyproject.toml").read_text())
    return version


def _without_labels(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_labels(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    found = {name: _without_labels(entry) for name, entry in value.items() if name not in HELM_LABELS}
    return {name: entry for name, entry in found.items() if (name, entry) != ("matchLabels", {})}


def by_name(documents: list[Document]) -> Mapping[tuple[str, str], Document]:
    return {
        (document["kind"], document["metadata"]["name"]): comparable(deepcopy(document))
        for document in documents
        if document["kind"] != "Namespace"
    }


@pytest.mark.parametrize("build", BUILDS)
def test_chart_builds_the_objects_of_kustomize(build: str) -> None:
    chart = by_name(built_by("helm").builds[build])
    kustomize = by_name(built_by("kustomize").builds[build])
    assert set(chart) == set(kustomize)
    for name, document in kustomize.items():
        assert chart[name] == document, name


def test_comparison_sees_a_difference() -> None:
    documents = built_by("helm").builds["base"]
    changed = json.loads(
        json.dumps(documents).replace('"terminationGracePeriodSeconds": 70', '"terminationGracePeriodSeconds": 7')
    )
    assert by_name(changed) != by_name(documents)


def test_chart_compares_times_with_the_defaults_of_the_settings() -> None:
    checks = (ROOT / "deploy/helm/templates/checks.yaml").read_text()
    written = dict(re.findall(r'\$settings\.GATEWAY_(\w+) "default" (\d+)\)', checks))
    assert {name.lower(): float(value) for name, value in written.items()} == {
        name: Settings.model_fields[name].default.total_seconds() for name in ("shutdown_grace", "fal_timeout")
    }
