"""The objects of ``deploy/kubernetes`` and of ``deploy/helm``, built, under the same names.

Each build of kustomize (the base, the example overlay, a component on the base) has a set of values of the chart that
asks for the same. Helm's names begin with the release; here they are those of kustomize, and so are references to them.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from tests.support import helm, kustomization, snippets

Document = dict[str, Any]
FOLDER: Final = Path(__file__).parents[2] / "deploy/kubernetes"
COMPONENTS: Final = (
    "gateway-api",
    "ingress",
    "media-credentials",
    "models-file",
    "node-local-dns",
    "private-networks",
    "workload-identity",
)
BUILDS: Final = ("base", "production", *COMPONENTS)
DEPLOYMENTS: Final = ("beat", "gateway", "worker-dispatch", "worker-maintenance", "worker-webhooks")
#: The processes that call fal and read or write videos.
CALL_FAL: Final = {"gateway", "worker-dispatch", "worker-maintenance"}
#: Its YAML: a second file of compose, and values of the chart.
_MODELS_PAGE: Final = FOLDER.parents[1] / "docs/how-to/models.md"
_HOST: Final = "gateway.example.com"
VALUES: Final[Mapping[str, Document]] = {
    "base": {},
    "production": {
        "image": {"repository": "registry.example.com/seedance-gateway"},
        "settings": {
            "GATEWAY_PUBLIC_URL": f"https://{_HOST}",
            "GATEWAY_REDIS_WAIT_REPLICAS": 1,
            "GATEWAY_UPSTREAM_CONCURRENCY": "40",
        },
        "networkPolicy": {"redis": {"to": [{"ipBlock": {"cidr": "10.20.0.0/24"}}]}},
    },
    "ingress": {
        "ingress": {"api": {"enabled": True, "host": _HOST}, "callbacks": {"enabled": True, "host": _HOST}},
    },
    "gateway-api": {
        "gatewayApi": {"api": {"enabled": True, "host": _HOST}, "callbacks": {"enabled": True, "host": _HOST}},
    },
    "media-credentials": {"secrets": {"existingMediaSecret": "gateway-media-store"}},
    "models-file": yaml.safe_load(snippets.yaml_blocks(_MODELS_PAGE)[1]),
    "node-local-dns": {"networkPolicy": {"nodeLocalDns": True}},
    "private-networks": {
        "networkPolicy": {
            "collector": {
                "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
            },
            "receivers": {"to": [{"ipBlock": {"cidr": "10.30.0.0/16"}}]},
            "upstream": {"to": [{"ipBlock": {"cidr": "10.40.0.0/28"}}]},
        }
    },
    "workload-identity": {"workloadIdentity": {"enabled": True}},
}
#: Names of the chart that kustomize has in another form.
_RENAMED: Final = {
    "settings": "gateway-settings",
    "pods": "seedance-gateway-pods",
    "videos": "seedance-gateway",
    "rules": "seedance-gateway",
}


class Manifests:
    def __init__(self, tool: str) -> None:
        self.tool = tool
        self.builds: dict[str, list[Document]] = _kustomized() if tool == "kustomize" else _rendered()

    def documents(self, kind: str, build: str = "production") -> dict[str, Any]:
        return {d["metadata"]["name"]: d for d in self.builds[build] if d["kind"] == kind}

    @property
    def deployments(self) -> dict[str, Any]:
        return self.documents("Deployment")

    def pods(self, selector: Any) -> set[str]:
        """Return the Deployments whose pods a selector matches."""
        return {
            name
            for name, deployment in self.deployments.items()
            if matches(selector, deployment["spec"]["template"]["metadata"]["labels"])
        }


@cache
def built_by(tool: str) -> Manifests:
    return Manifests(tool)


def container(deployment: Any) -> Any:
    (only,) = deployment["spec"]["template"]["spec"]["containers"]
    return only


def matches(selector: Any, labels: Mapping[str, str]) -> bool:
    exact = all(labels.get(name) == value for name, value in selector.get("matchLabels", {}).items())
    return exact and all(labels.get(e["key"]) in e["values"] for e in selector.get("matchExpressions", []))


def _kustomized() -> dict[str, list[Document]]:
    return {
        **{name: kustomization.build(FOLDER / name) for name in ("base", "production")},
        **{
            name: kustomization.build_on(kustomization.build(FOLDER / "base"), FOLDER / "components" / name)
            for name in COMPONENTS
        },
    }


def _rendered() -> dict[str, list[Document]]:
    return {build: _renamed(rendering.documents) for build, rendering in helm.render(VALUES).items()}


def _renamed(documents: list[Document]) -> list[Document]:
    """Replace each text that is the name of one of the objects: names, and references to them."""
    names = {document["metadata"]["name"] for document in documents}
    renamed: list[Document] = _replaced(documents, {name: _in_kustomize(name) for name in names})
    return renamed


def _in_kustomize(name: str) -> str:
    own = name.removeprefix(f"{helm.RELEASE}-")
    assert own != name, f"{name} does not begin with the release: two releases would collide"
    return _RENAMED.get(own, own.replace("dashboard-", "seedance-gateway-"))


def _replaced(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(entry, names) for key, entry in value.items()}
    if isinstance(value, list):
        return [_replaced(entry, names) for entry in value]
    return names.get(value, value) if isinstance(value, str) else value
