"""What each option of the chart renders."""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from reference.chart import files
from tests.support import helm
from tests.support.helm import Rendering, Values
from tests.support.helm_options import cluster, pods
from tests.support.helm_options.reading import Case
from tests.support.kubernetes_schemas import validate
from tests.support.manifests import VALUES

#: The large objects are rendered only where a case has `monitoring`.
QUIET: Values = {"monitoring": {"rules": {"enabled": False}, "dashboards": {"enabled": False}}}

RENDERED: dict[str, Case] = {**pods.CASES, **cluster.CASES}


@cache
def renderings() -> dict[str, Rendering]:
    cases = {name: {**QUIET, **values} for name, (values, _, _) in RENDERED.items()}
    return helm.render({"default": {}, **cases})


@pytest.mark.parametrize("name", RENDERED)
def test_option_renders_what_it_says(name: str) -> None:
    _, read, expected = RENDERED[name]
    assert read(renderings()[name]) == expected


@pytest.mark.parametrize("name", sorted(RENDERED.keys() - {"values of a parent chart"}))
def test_default_differs_from_what_the_option_renders(name: str) -> None:
    """Otherwise the test of the option proves nothing."""
    _, read, expected = RENDERED[name]
    try:
        found = read(renderings()["default"])
    except (LookupError, TypeError, ValueError):
        return
    assert found != expected


def test_rendered_objects_match_their_schema() -> None:
    """Most objects differ between two cases in the checksum of the settings at most."""
    documents = (document for rendering in renderings().values() for document in rendering.documents)
    different = {re.sub(r'"checksum/settings": "\w+"', "", json.dumps(document)): document for document in documents}
    for document in different.values():
        validate(document)


def paths(value: Any, prefix: str = "") -> Iterator[str]:
    """Return the names of all values, and of the objects that have them."""
    yield prefix.strip(".")
    if isinstance(value, dict):
        for name, entry in value.items():
            yield from paths(entry, f"{prefix}.{name}")


def kind_of(name: str) -> str:
    """Return one name for the values of the same model: those of one template, of which a case is enough."""
    name = re.sub(r"^(workers|ingress|gatewayApi)\.\w+\.", r"\1.*.", name)
    name = re.sub(r"^(gateway|beat|workers\.\*)\.(pod|resources|podDisruptionBudget)\b", r"*.\2", name)
    return name.removeprefix("workloadIdentity.") if ".serviceAccount." in name else name


def test_every_value_has_a_case() -> None:
    """The cases above, and the builds that are compared with kustomize."""
    cases = [*(values for values, _, _ in RENDERED.values()), *VALUES.values()]
    tried = {kind_of(path) for values in cases for path in paths(values)}
    others = {"fullnameOverride", "podSecurityContext.runAsNonRoot"}  # test_helm.py, test_helm_refusals.py
    assert {kind_of(name) for name in files.names()} - tried == others
