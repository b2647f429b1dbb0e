"""What each option of the chart renders."""

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from reference.chart import files
from tests.support import helm
from tests.support.helm import Rendering, Values
from tests.support.kubernetes_schemas import validate
from tests.support.manifests import CALL_FAL, DEPLOYMENTS, VALUES, container


def pods(rendering: Rendering) -> dict[str, Any]:
    return {name: rendering.find("Deployment", name)["spec"]["template"] for name in DEPLOYMENTS}


def of_every_pod(read: Callable[[Any], Any]) -> Callable[[Rendering], dict[str, Any]]:
    return lambda rendering: {name: read(pod) for name, pod in pods(rendering).items()}


def same(value: Any) -> dict[str, Any]:
    return dict.fromkeys(DEPLOYMENTS, value)


def at(kind: str, name: str, *path: str | int) -> Callable[[Rendering], Any]:
    """Return a function that reads one field of one object."""

    def read(rendering: Rendering) -> Any:
        found: Any = rendering.find(kind, name)
        for part in path:
            found = found[part] if isinstance(part, int) else found.get(part)
        return found

    return read


def names(kind: str) -> Callable[[Rendering], set[str]]:
    return lambda rendering: rendering.names(kind)


def spec(name: str) -> Callable[[Any], Any]:
    return lambda pod: pod["spec"].get(name)


DIGEST = "sha256:" + "a" * 64
TOLERATIONS = [{"key": "spot", "operator": "Exists"}]
AFFINITY: Values = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}
SPREAD = [{"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}]
VARIABLE = {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://collector:4318"}
REFERENCE = {"name": "GATEWAY_FAL_PROXY_URL", "valueFrom": {"secretKeyRef": {"name": "proxy", "key": "url"}}}
VOLUME = {"name": "ca", "configMap": {"name": "ca"}}
MOUNT = {"name": "ca", "mountPath": "/etc/ca", "readOnly": True}
PREFIXED = {"settings": {"GATEWAY_PUBLIC_URL": "https://api.example.com:8443/video/"}}
WAYS = {"api": {"enabled": True}, "callbacks": {"enabled": True}}
PEERS = [{"ipBlock": {"cidr": "10.50.0.0/16"}}]

#: The large objects are rendered only where a case has `monitoring`.
QUIET: Values = {"monitoring": {"rules": {"enabled": False}, "dashboards": {"enabled": False}}}

#: Values, what is read of the rendering, and the value that is expected.
RENDERED: dict[str, tuple[Values, Callable[[Rendering], Any], Any]] = {
    "image by tag": (
        {"image": {"repository": "r.example/g", "tag": "1.2"}},
        of_every_pod(lambda pod: pod["spec"]["containers"][0]["image"]),
        same("r.example/g:1.2"),
    ),
    "image by digest": (
        {"image": {"repository": "r.example/g", "tag": "1.2", "digest": DIGEST}},
        of_every_pod(lambda pod: pod["spec"]["containers"][0]["image"]),
        same(f"r.example/g@{DIGEST}"),
    ),
    "pull policy": (
        {"image": {"pullPolicy": "Always"}},
        of_every_pod(lambda pod: pod["spec"]["containers"][0]["imagePullPolicy"]),
        same("Always"),
    ),
    "pull secrets": (
        {"image": {"pullSecrets": ["a", "b"]}},
        of_every_pod(spec("imagePullSecrets")),
        same([{"name": "a"}, {"name": "b"}]),
    ),
    "existing secret": (
        {"secrets": {"existingSecret": "mine"}},
        of_every_pod(
            lambda pod: {
                entry["valueFrom"]["secretKeyRef"]["name"]
                for entry in pod["spec"]["containers"][0]["env"]
                if "valueFrom" in entry
            }
        ),
        same({"mine"}),
    ),
    "settings as text, numbers, lists and null": (
        {
            "settings": {
                "GATEWAY_MAX_UPLOAD_BYTES": 25_000_000,
                "GATEWAY_WEBHOOK_ALLOWED_NETWORKS": ["10.30.0.0/16"],
                "GATEWAY_PREFLIGHT": False,
                "GATEWAY_RETENTION": "P30D",
                "GATEWAY_MEDIA_URL": None,
            }
        },
        at("ConfigMap", "settings", "data"),
        {
            "GATEWAY_METRICS_HOST": "0.0.0.0",  # noqa: S104
            "GATEWAY_METRICS_PORT": "9100",
            "GATEWAY_MAX_UPLOAD_BYTES": "25000000",
            "GATEWAY_WEBHOOK_ALLOWED_NETWORKS": '["10.30.0.0/16"]',
            "GATEWAY_PREFLIGHT": "false",
            "GATEWAY_RETENTION": "P30D",
        },
    ),
    "pod labels": (
        {"pod": {"labels": {"team": "video"}}},
        of_every_pod(lambda pod: pod["metadata"]["labels"]["team"]),
        same("video"),
    ),
    "pod annotations": (
        {"pod": {"annotations": {"a": "b"}}},
        of_every_pod(lambda pod: pod["metadata"]["annotations"]["a"]),
        same("b"),
    ),
    "node selector": (
        {"pod": {"nodeSelector": {"pool": "a"}}},
        of_every_pod(spec("nodeSelector")),
        same({"pool": "a"}),
    ),
    "tolerations": ({"pod": {"tolerations": TOLERATIONS}}, of_every_pod(spec("tolerations")), same(TOLERATIONS)),
    "affinity": ({"pod": {"affinity": AFFINITY}}, of_every_pod(spec("affinity")), same(AFFINITY)),
    "spread": (
        {"pod": {"topologySpreadConstraints": SPREAD}},
        of_every_pod(spec("topologySpreadConstraints")),
        same(SPREAD),
    ),
    "priority class": (
        {"pod": {"priorityClassName": "high"}},
        of_every_pod(spec("priorityClassName")),
        same("high"),
    ),
    "runtime class": ({"pod": {"runtimeClassName": "kata"}}, of_every_pod(spec("runtimeClassName")), same("kata")),
    "one component replaces lists and merges objects": (
        {
            "pod": {"priorityClassName": "high", "nodeSelector": {"pool": "a"}, "tolerations": TOLERATIONS},
            "beat": {"pod": {"priorityClassName": "low", "nodeSelector": {"disk": "ssd"}, "tolerations": []}},
        },
        lambda rendering: {
            name: (pod["spec"]["priorityClassName"], pod["spec"]["nodeSelector"], pod["spec"].get("tolerations"))
            for name, pod in pods(rendering).items()
            if name in ("beat", "gateway")
        },
        {"beat": ("low", {"pool": "a", "disk": "ssd"}, None), "gateway": ("high", {"pool": "a"}, TOLERATIONS)},
    ),
    "extra variables": (
        {"pod": {"extraEnv": [VARIABLE, REFERENCE]}},
        of_every_pod(lambda pod: pod["spec"]["containers"][0]["env"][-2:]),
        same([VARIABLE, REFERENCE]),
    ),
    "extra variables from an object": (
        {"pod": {"extraEnvFrom": [{"configMapRef": {"name": "more"}}]}},
        of_every_pod(lambda pod: pod["spec"]["containers"][0]["envFrom"][-1]),
        same({"configMapRef": {"name": "more"}}),
    ),
    "extra volumes": (
        {"pod": {"extraVolumes": [VOLUME], "extraVolumeMounts": [MOUNT]}},
        of_every_pod(lambda pod: (pod["spec"]["volumes"][-1], pod["spec"]["containers"][0]["volumeMounts"][-1])),
        same((VOLUME, MOUNT)),
    ),
    "user chosen by the cluster": (
        {"podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None}},
        of_every_pod(spec("securityContext")),
        same({"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}),
    ),
    "size of /tmp": (
        {"tmpSizeLimit": "5Gi"},
        of_every_pod(lambda pod: pod["spec"]["volumes"][0]["emptyDir"]),
        same({"sizeLimit": "5Gi"}),
    ),
    "existing account": (
        {"serviceAccount": {"create": False, "name": "mine"}},
        lambda rendering: (rendering.names("ServiceAccount"), of_every_pod(spec("serviceAccountName"))(rendering)),
        (set(), same("mine")),
    ),
    "annotations of an account": (
        {"serviceAccount": {"annotations": {"a": "b"}}},
        at("ServiceAccount", "pods", "metadata", "annotations"),
        {"a": "b"},
    ),
    "workload identity": (
        {
            "workloadIdentity": {
                "enabled": True,
                "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/videos"}},
            }
        },
        lambda rendering: (
            rendering.find("ServiceAccount", "videos")["metadata"]["annotations"],
            {
                name
                for name, pod in pods(rendering).items()
                if pod["spec"]["serviceAccountName"] == f"{helm.RELEASE}-videos"
            },
        ),
        ({"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/videos"}, CALL_FAL),
    ),
    "workload identity with an existing account": (
        {"workloadIdentity": {"enabled": True, "serviceAccount": {"create": False, "name": "cloud"}}},
        at("Deployment", "gateway", "spec", "template", "spec", "serviceAccountName"),
        "cloud",
    ),
    "gateway without autoscaler": (
        {"gateway": {"autoscaling": {"enabled": False}, "replicas": 3}},
        lambda rendering: (
            rendering.names("HorizontalPodAutoscaler"),
            rendering.find("Deployment", "gateway")["spec"]["replicas"],
        ),
        (set(), 3),
    ),
    "autoscaler": (
        {"gateway": {"autoscaling": {"minReplicas": 4, "maxReplicas": 5, "targetCpuPercent": 70}}},
        lambda rendering: (
            (hpa := rendering.find("HorizontalPodAutoscaler", "gateway")["spec"])["minReplicas"],
            hpa["maxReplicas"],
            hpa["metrics"][0]["resource"]["target"]["averageUtilization"],
        ),
        (4, 5, 70),
    ),
    "workers without KEDA": (
        {"keda": {"enabled": False}, "workers": {"webhooks": {"replicas": 5}}},
        lambda rendering: (
            rendering.names("ScaledObject"),
            {n: rendering.find("Deployment", n)["spec"].get("replicas") for n in DEPLOYMENTS},
        ),
        (set(), {"beat": 1, "gateway": None, "worker-dispatch": 2, "worker-maintenance": 1, "worker-webhooks": 5}),
    ),
    "scaling of a worker": (
        {"workers": {"dispatch": {"autoscaling": {"minReplicas": 3, "maxReplicas": 4, "threshold": 100}}}},
        lambda rendering: (
            (scaled := rendering.find("ScaledObject", "worker-dispatch")["spec"])["minReplicaCount"],
            scaled["maxReplicaCount"],
            scaled["triggers"][0]["metadata"]["threshold"],
        ),
        (3, 4, "100"),
    ),
    "KEDA with authentication": (
        {"keda": {"prometheusAddress": "https://p.example", "triggerAuthentication": "p", "cooldownPeriod": 60}},
        lambda rendering: (
            (scaled := rendering.find("ScaledObject", "worker-webhooks")["spec"])["cooldownPeriod"],
            scaled["triggers"][0]["metadata"]["serverAddress"],
            scaled["triggers"][0]["authenticationRef"],
        ),
        (60, "https://p.example", {"name": "p"}),
    ),
    "disruption budgets": (
        {
            "gateway": {"podDisruptionBudget": {"maxUnavailable": "25%"}},
            "workers": {
                "dispatch": {"podDisruptionBudget": {"enabled": False}},
                "maintenance": {"podDisruptionBudget": {"enabled": True}},
            },
        },
        lambda rendering: {
            name: rendering.find("PodDisruptionBudget", name)["spec"]["maxUnavailable"]
            for name in rendering.names("PodDisruptionBudget")
        },
        {"gateway": "25%", "worker-maintenance": 1, "worker-webhooks": 1},
    ),
    "resources": (
        {"workers": {"dispatch": {"resources": {"limits": {"memory": "1Gi", "cpu": 2}}}}},
        lambda rendering: container(rendering.find("Deployment", "worker-dispatch"))["resources"],
        {"requests": {"cpu": "250m", "memory": "192Mi"}, "limits": {"memory": "1Gi", "cpu": 2}},
    ),
    "requests": (
        {"beat": {"resources": {"requests": {"cpu": "50m"}}}},
        lambda rendering: container(rendering.find("Deployment", "beat"))["resources"]["requests"],
        {"cpu": "50m", "memory": "96Mi"},
    ),
    "seccomp profile": (
        {"podSecurityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": "gateway.json"}}},
        lambda rendering: pods(rendering)["beat"]["spec"]["securityContext"]["seccompProfile"],
        {"type": "Localhost", "localhostProfile": "gateway.json"},
    ),
    "times to stop": (
        {
            "settings": {"GATEWAY_SHUTDOWN_GRACE": 60},
            "gateway": {"preStopSeconds": 15, "terminationGracePeriodSeconds": 90},
            "workers": {"terminationGracePeriodSeconds": 100},
        },
        lambda rendering: (
            {name: pod["spec"]["terminationGracePeriodSeconds"] for name, pod in pods(rendering).items()},
            container(rendering.find("Deployment", "gateway"))["lifecycle"]["preStop"]["exec"]["command"],
        ),
        (
            {**dict.fromkeys(DEPLOYMENTS, 100), "gateway": 90, "beat": 10},
            ["sleep", "15"],
        ),
    ),
    "service": (
        {"gateway": {"service": {"type": "LoadBalancer", "port": 8000, "annotations": {"a": "b"}}}},
        lambda rendering: (
            (service := rendering.find("Service", "gateway"))["spec"]["type"],
            service["spec"]["ports"][0]["port"],
            service["metadata"]["annotations"],
        ),
        ("LoadBalancer", 8000, {"a": "b"}),
    ),
    "no network policies": (
        {"networkPolicy": {"enabled": False, "receivers": {"to": PEERS}}},
        names("NetworkPolicy"),
        set(),
    ),
    "callers by address": (
        {"networkPolicy": {"callers": PEERS}},
        at("NetworkPolicy", "gateway", "spec", "ingress", 0, "from"),
        PEERS,
    ),
    "Prometheus elsewhere": (
        {"networkPolicy": {"prometheus": PEERS}},
        at("NetworkPolicy", "metrics", "spec", "ingress", 0, "from"),
        PEERS,
    ),
    "Redis at another port": (
        {"networkPolicy": {"redis": {"to": PEERS, "ports": [6380]}}},
        at("NetworkPolicy", "redis", "spec", "egress", 0),
        {"to": PEERS, "ports": [{"port": 6380, "protocol": "TCP"}]},
    ),
    "name servers": ({"networkPolicy": {"dns": PEERS}}, at("NetworkPolicy", "redis", "spec", "egress", 1, "to"), PEERS),
    "ports of private networks": (
        {"networkPolicy": {name: {"to": PEERS, "ports": [3129]} for name in ("collector", "receivers", "upstream")}},
        lambda rendering: [
            rendering.find("NetworkPolicy", name)["spec"]["egress"] for name in ("collector", "receivers", "upstream")
        ],
        [[{"to": PEERS, "ports": [{"port": 3129, "protocol": "TCP"}]}]] * 3,
    ),
    "ingress at the host and path of the public URL": (
        {**PREFIXED, "ingress": WAYS},
        lambda rendering: {
            name: (
                (rule := rendering.find("Ingress", name)["spec"]["rules"][0])["host"],
                rule["http"]["paths"][0]["path"],
                rule["http"]["paths"][0]["backend"]["service"]["name"],
            )
            for name in rendering.names("Ingress")
        },
        {
            "gateway": ("api.example.com", "/video/v1", "blue-gateway"),
            "callbacks": ("api.example.com", "/video/callbacks/fal", "blue-gateway"),
        },
    ),
    "ingress of another class without TLS": (
        {
            **PREFIXED,
            "ingress": {
                "callbacks": {"enabled": True, "className": "traefik", "tlsSecret": "", "host": "cb.example.com"}
            },
        },
        lambda rendering: (
            rendering.names("Ingress"),
            (ingress := rendering.find("Ingress", "callbacks")["spec"])["ingressClassName"],
            ingress.get("tls"),
            ingress["rules"][0]["host"],
        ),
        ({"callbacks"}, "traefik", None, "cb.example.com"),
    ),
    "annotations of an ingress are added": (
        {**PREFIXED, "ingress": {"api": {"enabled": True, "annotations": {"cert-manager.io/issuer": "i"}}}},
        lambda rendering: len(rendering.find("Ingress", "gateway")["metadata"]["annotations"]),
        6,
    ),
    "routes at the host and path of the public URL": (
        {
            **PREFIXED,
            "gateway": {"service": {"port": 8000}},
            "gatewayApi": {"api": {"enabled": True, "parentRefs": [{"name": "g"}], "annotations": {"a": "b"}}},
        },
        lambda rendering: (
            rendering.names("HTTPRoute"),
            rendering.find("HTTPRoute", "gateway")["metadata"]["annotations"],
            (route := rendering.find("HTTPRoute", "gateway")["spec"])["hostnames"],
            route["rules"][0]["matches"][0]["path"]["value"],
            route["parentRefs"],
            route["rules"][0]["backendRefs"][0]["port"],
        ),
        ({"gateway"}, {"a": "b"}, ["api.example.com"], "/video/v1", [{"name": "g"}], 8000),
    ),
    "monitors": (
        {"monitoring": {"monitors": {"interval": "30s", "labels": {"release": "p"}}}},
        lambda rendering: [
            (
                found["metadata"]["labels"]["release"],
                (found["spec"].get("endpoints") or found["spec"]["podMetricsEndpoints"])[0]["interval"],
            )
            for found in (rendering.find("ServiceMonitor", "gateway"), rendering.find("PodMonitor", "backstage"))
        ],
        [("p", "30s"), ("p", "30s")],
    ),
    "no monitoring": (
        {"monitoring": {name: {"enabled": False} for name in ("monitors", "rules", "dashboards")}},
        lambda rendering: (
            [rendering.names(kind) for kind in ("ServiceMonitor", "PodMonitor", "PrometheusRule")],
            rendering.names("ConfigMap"),
        ),
        ([set(), set(), set()], {"settings"}),
    ),
    "labels of rules": (
        {"monitoring": {"rules": {"labels": {"release": "p"}}}},
        at("PrometheusRule", "rules", "metadata", "labels", "release"),
        "p",
    ),
    "alerts link to the public URL": (
        {**PREFIXED, "monitoring": {}},
        lambda rendering: {
            rule["annotations"]["runbook_url"].partition("/docs/")[0]
            for rule in rendering.find("PrometheusRule", "rules")["spec"]["groups"][1]["rules"]
        },
        {"https://api.example.com:8443/video"},
    ),
    "dashboards in a folder": (
        {"monitoring": {"dashboards": {"labels": {"d": "1"}, "annotations": {"folder": "Videos"}}}},
        lambda rendering: (
            (found := rendering.find("ConfigMap", "dashboard-overview")["metadata"])["labels"]["d"],
            found["annotations"],
        ),
        ("1", {"folder": "Videos"}),
    ),
    "more objects": (
        {"extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "blue-more"}}]},
        names("ConfigMap"),
        {"more", "settings"},
    ),
    "common labels and annotations": (
        {"commonLabels": {"team": "video"}, "commonAnnotations": {"contact": "ops"}, "monitoring": {}},
        lambda rendering: {
            (d["metadata"]["labels"].get("team"), d["metadata"].get("annotations", {}).get("contact"))
            for d in rendering.documents
        },
        {("video", "ops")},
    ),
    "values of a parent chart": ({"global": {"imageRegistry": "r"}}, names("HorizontalPodAutoscaler"), {"gateway"}),
}


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
