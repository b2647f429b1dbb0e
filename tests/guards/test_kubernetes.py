"""The built manifests match the API server's schemas and what the code needs. No cluster runs."""

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from reference import metrics
from service.api.http.dependencies import LONGEST_WAIT
from service.config.settings import PREFIX, Settings
from service.config.types import OWN_SEGMENTS
from service.domain import callback
from service.net import networks
from service.tasks import QUEUES
from tests.guards.repository import ROOT
from tests.support import factories
from tests.support.kustomization import build, build_on

FOLDER = ROOT / "deploy/kubernetes"
CRDS = Path(__file__).with_name("crds")
KUBERNETES = "1.33"
COMPONENTS = ("gateway-api", "ingress", "media-credentials", "node-local-dns", "private-networks", "workload-identity")
#: The overlay refers to objects of its cluster; the base must be complete too.
BUILDS = {
    **{name: build(FOLDER / name) for name in ("base", "production")},
    **{name: build_on(build(FOLDER / "base"), FOLDER / "components" / name) for name in COMPONENTS},
}
#: The processes that call fal, by component, since fal's keys are only where they are used.
CALL_FAL = {"gateway", "worker-dispatch", "worker-maintenance"}
ALL = [(name, document) for name, documents in BUILDS.items() for document in documents]


def named(value: Any) -> str | None:
    if isinstance(value, dict):
        return f"{value['kind']}-{value['metadata']['name']}"
    return value if isinstance(value, str) else None


def documents(kind: str, build: str = "production") -> dict[str, Any]:
    return {d["metadata"]["name"]: d for d in BUILDS[build] if d["kind"] == kind}


DEPLOYMENTS = documents("Deployment")


def container(deployment: Any) -> Any:
    (only,) = deployment["spec"]["template"]["spec"]["containers"]
    return only


def strict(schema: Any) -> Any:
    """Reject unknown fields, which a server would drop."""
    if isinstance(schema, dict):
        own = {name: strict(value) for name, value in schema.items()}
        if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
            own["additionalProperties"] = False
        return own
    return [strict(entry) for entry in schema] if isinstance(schema, list) else schema


@pytest.mark.parametrize(("build", "document"), ALL, ids=named)
def test_objects_match_their_schema(build: str, document: Any) -> None:
    crd = CRDS / f"{document['kind']}.json"
    if crd.exists():
        jsonschema.validate(document, strict(json.loads(crd.read_text())))
    else:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_misspelt_field_fails_schema() -> None:
    wrong = json.loads(json.dumps(DEPLOYMENTS["gateway"]))
    wrong["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES, strict=True)
    scaled = json.loads(json.dumps(documents("ScaledObject")["worker-dispatch"]))
    scaled["spec"]["minReplicas"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(scaled, strict(json.loads((CRDS / "ScaledObject.json").read_text())))


def test_each_queue_has_workers_and_beat_is_single() -> None:
    consumed = [queue for d in DEPLOYMENTS.values() for queue in queues_of(container(d)["args"])]
    assert sorted(consumed) == sorted(QUEUES)
    beat = DEPLOYMENTS["beat"]["spec"]
    assert (beat["replicas"], beat["strategy"]) == (1, {"type": "Recreate"})


def queues_of(arguments: list[str]) -> list[str]:
    return arguments[arguments.index("--queues") + 1].split(",") if "--queues" in arguments else []


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_pods_have_no_rights_and_read_only_root(name: str) -> None:
    pod = DEPLOYMENTS[name]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (True, 10001)
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(DEPLOYMENTS[name])["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"requests", "limits"} == set(container(DEPLOYMENTS[name])["resources"])


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_variables_are_settings_and_secrets_are_references(name: str) -> None:
    environment = {entry["name"]: entry for entry in container(DEPLOYMENTS[name])["env"]}
    written = set(documents("ConfigMap")["gateway-settings"]["data"])
    for variable in set(environment) | written:
        assert variable.removeprefix(PREFIX).lower() in Settings.model_fields, variable
    fal = {"GATEWAY_FAL_KEY", "GATEWAY_FAL_ADMIN_KEY"}
    if name in CALL_FAL:
        assert fal <= set(environment)
    else:
        assert environment.pop("GATEWAY_FAL_KEY")["value"] == "none:calls-no-fal"
        assert not fal & set(environment)
    assert all("secretKeyRef" in entry["valueFrom"] for entry in environment.values())
    required = {PREFIX + field.upper() for field, info in Settings.model_fields.items() if info.is_required()}
    assert required - fal <= set(environment)
    assert "GATEWAY_BROKER_URL" in environment, "no ConfigMap has secrets"
    assert ("GATEWAY_ADMIN_TOKEN" in environment) == (name == "gateway"), (
        "a process without admin routes needs no token"
    )
    assert documents("Secret") == {}


def test_pods_have_time_to_stop() -> None:
    settings = factories.settings(
        "redis://127.0.0.1:9/0", shutdown_grace=Settings.model_fields["shutdown_grace"].default
    )
    for name, deployment in DEPLOYMENTS.items():
        pod = deployment["spec"]["template"]["spec"]
        sleeps = container(deployment).get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [])
        needs = 5.0 + (int(sleeps[1]) if sleeps else 0)
        if name.startswith("worker"):
            needs += settings.submit_grace.total_seconds()
        elif name == "gateway":
            needs += settings.shutdown_grace.total_seconds()
            assert sleeps, "its address must leave the service before it stops listening"
        assert pod["terminationGracePeriodSeconds"] >= needs, (name, needs)


def test_probes_use_declared_ports() -> None:
    for deployment in DEPLOYMENTS.values():
        pod = container(deployment)
        ports = {port["name"] for port in pod["ports"]}
        probes = [pod[probe]["httpGet"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")]
        assert {probe["port"] for probe in probes} <= ports
        assert probes[1]["path"] == "/healthz", "an unavailable Redis is no reason for a restart"
    ready = container(DEPLOYMENTS["gateway"])["readinessProbe"]["httpGet"]["path"]
    assert ready == "/readyz/process", "gateways without Redis stay in the Service, for their 503 with Retry-After"
    metrics = {
        p["containerPort"] for d in DEPLOYMENTS.values() for p in container(d)["ports"] if p["name"] == "metrics"
    }
    assert {str(port) for port in metrics} == {
        documents("ConfigMap")["gateway-settings"]["data"]["GATEWAY_METRICS_PORT"]
    }


@pytest.mark.parametrize("kind", ["HorizontalPodAutoscaler", "ScaledObject"])
def test_scaled_deployment_exists_without_replicas(kind: str) -> None:
    for scaler in documents(kind).values():
        target = DEPLOYMENTS[scaler["spec"]["scaleTargetRef"]["name"]]
        assert "replicas" not in target["spec"]
    scaled = {s["spec"]["scaleTargetRef"]["name"] for k in ("HorizontalPodAutoscaler", "ScaledObject") for s in documents(k).values()}  # fmt: skip  # noqa: E501
    assert scaled == set(DEPLOYMENTS) - {"beat"}


def test_prometheus_queries_read_existing_metrics() -> None:
    known = set(metrics.types())
    for scaled in documents("ScaledObject").values():
        for trigger in scaled["spec"]["triggers"]:
            assert set(re.findall(r"gateway_\w+", trigger["metadata"]["query"])) <= known


def test_scalers_ask_one_prometheus_for_what_waits() -> None:
    """One patch names Prometheus. Amounts are shared by the replicas; seconds are not."""
    scalers = documents("ScaledObject")
    triggers = {name: scaled["spec"]["triggers"] for name, scaled in scalers.items()}
    assert {len(found) for found in triggers.values()} == {1}
    assert len({found[0]["metadata"]["serverAddress"] for found in triggers.values()}) == 1
    assert "serverAddress" not in (FOLDER / "base/scaling.yaml").read_text()
    assert triggers["worker-webhooks"][0]["metadata"]["query"] == "sum(max by (tenant) (gateway_webhook_backlog))"
    for (trigger,) in triggers.values():
        is_time = "_seconds{" in trigger["metadata"]["query"]
        assert (trigger.get("metricType") == "Value") == is_time, trigger


def test_prometheus_rule_has_the_rules_of_compose_and_links_to_the_gateway() -> None:
    (rule,) = documents("PrometheusRule").values()
    groups = deepcopy(rule["spec"]["groups"])
    compose = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())["groups"]
    public = documents("ConfigMap")["gateway-settings"]["data"]["GATEWAY_PUBLIC_URL"]
    pages, _ = (
        {alert["annotations"].pop("runbook_url").partition("#")[0] for alert in alerts["rules"]}
        for _, alerts in (groups, compose)
    )
    assert pages == {f"{public}/docs/runbook.md"}
    assert groups == compose, "run `make dashboards`"
    assert {r["record"].partition(":")[0] for r in groups[0]["rules"]} == {"slo"}


def test_dashboards_are_config_maps_that_grafana_loads() -> None:
    labelled = [(found["metadata"]["labels"], found) for found in documents("ConfigMap").values()]
    maps = [found for labels, found in labelled if labels.get("grafana_dashboard") == "1"]
    loaded = {name: text for found in maps for name, text in found["data"].items()}
    assert loaded == {path.name: path.read_text() for path in (ROOT / "deploy/grafana/dashboards").glob("*.json")}
    for found in maps:
        assert len(json.dumps(found)) < 262_144, "kubectl apply writes the object into an annotation"


def test_pods_run_as_an_account_without_rights() -> None:
    accounts = documents("ServiceAccount")
    assert {d["spec"]["template"]["spec"]["serviceAccountName"] for d in DEPLOYMENTS.values()} == set(accounts)
    assert all(account["automountServiceAccountToken"] is False for account in accounts.values())


def matches(selector: Any, labels: dict[str, str]) -> bool:
    exact = all(labels.get(name) == value for name, value in selector.get("matchLabels", {}).items())
    return exact and all(labels.get(e["key"]) in e["values"] for e in selector.get("matchExpressions", []))


def labels_of(name: str) -> dict[str, str]:
    found: dict[str, str] = DEPLOYMENTS[name]["spec"]["template"]["metadata"]["labels"]
    return found


def test_selectors_match_their_pods() -> None:
    expected = {
        ("Service", "gateway"): {"gateway"},
        ("Service", "gateway-metrics"): {"gateway"},
        ("PodDisruptionBudget", "gateway"): {"gateway"},
        ("PodDisruptionBudget", "worker-dispatch"): {"worker-dispatch"},
        ("PodDisruptionBudget", "worker-webhooks"): {"worker-webhooks"},
        ("PodMonitor", "backstage"): set(DEPLOYMENTS) - {"gateway"},
        ("NetworkPolicy", "deny-all"): set(DEPLOYMENTS),
        ("NetworkPolicy", "gateway"): {"gateway"},
        ("NetworkPolicy", "metrics"): set(DEPLOYMENTS),
        ("NetworkPolicy", "redis"): set(DEPLOYMENTS),
        ("NetworkPolicy", "internet"): set(DEPLOYMENTS) - {"beat"},
    }
    for (kind, name), meant in expected.items():
        spec = documents(kind)[name]["spec"]
        selector = spec["podSelector"] if kind == "NetworkPolicy" else spec["selector"]
        selector = {"matchLabels": selector} if kind == "Service" else selector
        assert {pod for pod in DEPLOYMENTS if matches(selector, labels_of(pod))} == meant, (kind, name)
    assert set(documents("NetworkPolicy")) == {name for kind, name in expected if kind == "NetworkPolicy"}
    (monitored,) = documents("ServiceMonitor").values()
    scraped = [
        n for n, s in documents("Service").items() if matches(monitored["spec"]["selector"], s["metadata"]["labels"])
    ]
    assert scraped == ["gateway-metrics"]
    for deployment in DEPLOYMENTS.values():
        assert matches(deployment["spec"]["selector"], deployment["spec"]["template"]["metadata"]["labels"])


def test_metrics_port_is_not_on_the_service_of_callers() -> None:
    services = {name: {port["targetPort"] for port in s["spec"]["ports"]} for name, s in documents("Service").items()}
    assert (services["gateway"], services["gateway-metrics"]) == ({"http"}, {"metrics"})
    (rule,) = documents("NetworkPolicy")["gateway"]["spec"]["ingress"]
    assert [port["port"] for port in rule["ports"]] == ["http"]
    for kind in ("ServiceMonitor", "PodMonitor"):
        for monitor in documents(kind).values():
            ends = monitor["spec"].get("endpoints") or monitor["spec"]["podMetricsEndpoints"]
            assert {end["port"] for end in ends} == {"metrics"}


def test_network_policies_allow_gateway_in_and_beat_to_redis() -> None:
    policies = documents("NetworkPolicy")
    open_to_all = [n for n, p in policies.items() if any("from" not in rule for rule in p["spec"].get("ingress", []))]
    assert open_to_all == ["gateway"]
    for policy in policies.values():
        blocks = json.dumps(policy["spec"].get("egress", []))
        assert not (matches(policy["spec"]["podSelector"], labels_of("beat")) and "0.0.0.0/0" in blocks)


def test_egress_excepts_each_network_that_is_not_public() -> None:
    """The policy and the guard of webhooks and images refuse the same networks."""
    (allowed,) = documents("NetworkPolicy")["internet"]["spec"]["egress"]
    blocks = [entry["ipBlock"] for entry in allowed["to"]]
    assert [block["cidr"] for block in blocks] == ["0.0.0.0/0", "2000::/3"]
    assert [name for block in blocks for name in block["except"]] == [str(network) for network in networks.NOT_PUBLIC]


@pytest.mark.parametrize(
    ("component", "addresses", "pods"),
    [
        ("node-local-dns", {"169.254.20.10/32"}, set(DEPLOYMENTS)),
        ("workload-identity", {"169.254.169.254/32", "169.254.170.23/32"}, CALL_FAL),
    ],
)
def test_component_opens_its_addresses_only(component: str, addresses: set[str], pods: set[str]) -> None:
    policies, usual = (documents("NetworkPolicy", build) for build in (component, "base"))
    (added,) = policies.keys() - usual.keys()
    assert {name: policies[name] for name in usual} == usual
    (rule,) = policies[added]["spec"]["egress"]
    assert {entry["ipBlock"]["cidr"] for entry in rule["to"]} == addresses
    assert {name for name in DEPLOYMENTS if matches(policies[added]["spec"]["podSelector"], labels_of(name))} == pods


def test_private_networks_are_opened_to_the_processes_that_need_them() -> None:
    policies, usual = (documents("NetworkPolicy", build) for build in ("private-networks", "base"))
    opened = {
        name: {pod for pod in DEPLOYMENTS if matches(policies[name]["spec"]["podSelector"], labels_of(pod))}
        for name in policies.keys() - usual.keys()
    }
    assert opened == {"collector": set(DEPLOYMENTS), "receivers": {"worker-webhooks"}, "upstream": CALL_FAL}
    assert all("ingress" not in policies[name]["spec"] for name in opened)


def _paths(build: str) -> dict[str, set[str]]:
    """Return the paths of each way in, by its name."""
    return {
        "ingress": {
            name: {path["path"] for rule in route["spec"]["rules"] for path in rule["http"]["paths"]}
            for name, route in documents("Ingress", build).items()
        },
        "gateway-api": {
            name: {match["path"]["value"] for rule in route["spec"]["rules"] for match in rule["matches"]}
            for name, route in documents("HTTPRoute", build).items()
        },
    }[build]


@pytest.mark.parametrize("build", ["ingress", "gateway-api"])
def test_internet_reaches_callbacks_and_nothing_else(build: str) -> None:
    """Of the routes, /admin/v1 and the probes are on no way in."""
    paths = _paths(build)
    assert paths["callbacks"] == {callback.PATH}
    first = {path.split("/")[1] for path in paths["gateway"]}
    assert first == OWN_SEGMENTS - {"admin", "callbacks", "healthz", "readyz"}


def test_ingress_bounds_are_those_of_the_gateway() -> None:
    annotations = documents("Ingress", "ingress")["gateway"]["metadata"]["annotations"]
    of = {name.rpartition("/")[2]: value for name, value in annotations.items()}
    largest = max(Settings.model_fields[name].default for name in ("max_upload_bytes", "max_inline_bytes"))
    assert int(of["proxy-body-size"].removesuffix("m")) * 1_000_000 > largest
    assert (of["proxy-buffering"], of["proxy-request-buffering"]) == ("off", "off")
    assert int(of["proxy-read-timeout"]) > LONGEST_WAIT
    for name in ("gateway", "callbacks"):
        for rule in documents("Ingress", "ingress")[name]["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                service = path["backend"]["service"]
                ports = {port["name"] for port in documents("Service", "ingress")[service["name"]]["spec"]["ports"]}
                assert service["port"]["name"] in ports


def test_media_credentials_are_of_pods_with_videos() -> None:
    found = {
        name: [entry["secretRef"]["name"] for entry in container(deployment)["envFrom"] if "secretRef" in entry]
        for name, deployment in documents("Deployment", "media-credentials").items()
    }
    assert {name for name, secrets in found.items() if secrets} == CALL_FAL
    assert found["gateway"] == ["gateway-media-store"]


def test_workload_identity_is_of_pods_with_videos() -> None:
    found = {
        name: d["spec"]["template"]["spec"].get("serviceAccountName")
        for name, d in documents("Deployment", "workload-identity").items()
    }
    assert {name for name, account in found.items() if account == "seedance-gateway"} == CALL_FAL
