"""The built manifests match the API server's schemas and what the code needs. No cluster runs."""

import json
import re
from copy import deepcopy

import jsonschema
import kubernetes_validate
import pytest
import yaml

from reference import metrics
from service.config.settings import PREFIX, Settings
from service.tasks import QUEUES
from tests.guards.repository import ROOT
from tests.support import factories
from tests.support.kubernetes_schemas import validate
from tests.support.manifests import CALL_FAL, DEPLOYMENTS, FOLDER, Manifests, container


def test_objects_match_their_schema(made: Manifests) -> None:
    """Most objects are the same in all builds."""
    different = {json.dumps(document): document for documents in made.builds.values() for document in documents}
    for document in different.values():
        validate(document)


def test_misspelt_field_fails_schema(made: Manifests) -> None:
    wrong = json.loads(json.dumps(made.deployments["gateway"]))
    wrong["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(wrong)
    scaled = json.loads(json.dumps(made.documents("ScaledObject")["worker-dispatch"]))
    scaled["spec"]["minReplicas"] = 1
    with pytest.raises(jsonschema.ValidationError):
        validate(scaled)


def test_each_queue_has_workers_and_beat_is_single(made: Manifests) -> None:
    consumed = [queue for d in made.deployments.values() for queue in queues_of(container(d)["args"])]
    assert sorted(consumed) == sorted(QUEUES)
    beat = made.deployments["beat"]["spec"]
    assert (beat["replicas"], beat["strategy"]) == (1, {"type": "Recreate"})


def queues_of(arguments: list[str]) -> list[str]:
    return arguments[arguments.index("--queues") + 1].split(",") if "--queues" in arguments else []


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_pods_have_no_rights_and_read_only_root(made: Manifests, name: str) -> None:
    pod = made.deployments[name]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (True, 10001)
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(made.deployments[name])["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"requests", "limits"} == set(container(made.deployments[name])["resources"])


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_variables_are_settings_and_secrets_are_references(made: Manifests, name: str) -> None:
    environment = {entry["name"]: entry for entry in container(made.deployments[name])["env"]}
    written = set(made.documents("ConfigMap")["gateway-settings"]["data"])
    for variable in set(environment) | written:
        assert variable.removeprefix(PREFIX).lower() in Settings.model_fields, variable
    fal = {"GATEWAY_FAL_KEY", "GATEWAY_FAL_ADMIN_KEY", "GATEWAY_FAL_PROXY_URL", "GATEWAY_MEDIA_PROXY_URL"}
    if name in CALL_FAL:
        assert fal <= set(environment)
    else:
        assert environment.pop("GATEWAY_FAL_KEY")["value"] == "none:calls-no-fal"
        assert not fal & set(environment)
    assert all("secretKeyRef" in entry["valueFrom"] for entry in environment.values())
    required = {PREFIX + field.upper() for field, info in Settings.model_fields.items() if info.is_required()}
    assert required - fal <= set(environment)
    assert "GATEWAY_BROKER_URL" in environment, "no ConfigMap has secrets"
    assert {"GATEWAY_ADMIN_TOKEN", "GATEWAY_OIDC_CLIENT_SECRET"} & set(environment) == (
        {"GATEWAY_ADMIN_TOKEN", "GATEWAY_OIDC_CLIENT_SECRET"} if name == "gateway" else set()
    ), "a process without routes of operators needs no secret of their logins"
    assert made.documents("Secret") == {}


def test_pods_have_time_to_stop(made: Manifests) -> None:
    settings = factories.settings(
        "redis://127.0.0.1:9/0", shutdown_grace=Settings.model_fields["shutdown_grace"].default
    )
    for name, deployment in made.deployments.items():
        pod = deployment["spec"]["template"]["spec"]
        sleeps = container(deployment).get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [])
        needs = 5.0 + (int(sleeps[1]) if sleeps else 0)
        if name.startswith("worker"):
            needs += settings.submit_grace.total_seconds()
        elif name == "gateway":
            needs += settings.shutdown_grace.total_seconds()
            assert sleeps, "its address must leave the service before it stops listening"
        assert pod["terminationGracePeriodSeconds"] >= needs, (name, needs)


def test_probes_use_declared_ports(made: Manifests) -> None:
    for deployment in made.deployments.values():
        pod = container(deployment)
        ports = {port["name"] for port in pod["ports"]}
        probes = [pod[probe]["httpGet"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")]
        assert {probe["port"] for probe in probes} <= ports
        assert probes[1]["path"] == "/healthz", "an unavailable Redis is no reason for a restart"
    ready = container(made.deployments["gateway"])["readinessProbe"]["httpGet"]["path"]
    assert ready == "/readyz/process", "gateways without Redis stay in the Service, for their 503 with Retry-After"
    metrics = {
        p["containerPort"] for d in made.deployments.values() for p in container(d)["ports"] if p["name"] == "metrics"
    }
    assert {str(port) for port in metrics} == {
        made.documents("ConfigMap")["gateway-settings"]["data"]["GATEWAY_METRICS_PORT"]
    }


@pytest.mark.parametrize("kind", ["HorizontalPodAutoscaler", "ScaledObject"])
def test_scaled_deployment_exists_without_replicas(made: Manifests, kind: str) -> None:
    for scaler in made.documents(kind).values():
        target = made.deployments[scaler["spec"]["scaleTargetRef"]["name"]]
        assert "replicas" not in target["spec"]
    scaled = {s["spec"]["scaleTargetRef"]["name"] for k in ("HorizontalPodAutoscaler", "ScaledObject") for s in made.documents(k).values()}  # fmt: skip  # noqa: E501
    assert scaled == set(made.deployments) - {"beat"}


def test_prometheus_queries_read_existing_metrics(made: Manifests) -> None:
    known = set(metrics.types())
    for scaled in made.documents("ScaledObject").values():
        for trigger in scaled["spec"]["triggers"]:
            assert set(re.findall(r"gateway_\w+", trigger["metadata"]["query"])) <= known


def test_scalers_ask_one_prometheus_for_what_waits(made: Manifests) -> None:
    """One patch names Prometheus. Amounts are shared by the replicas; seconds are not."""
    scalers = made.documents("ScaledObject")
    triggers = {name: scaled["spec"]["triggers"] for name, scaled in scalers.items()}
    assert {len(found) for found in triggers.values()} == {1}
    assert len({found[0]["metadata"]["serverAddress"] for found in triggers.values()}) == 1
    assert "serverAddress" not in (FOLDER / "base/scaling.yaml").read_text()
    assert triggers["worker-webhooks"][0]["metadata"]["query"] == "sum(max by (tenant) (gateway_webhook_backlog))"
    for (trigger,) in triggers.values():
        is_time = "_seconds{" in trigger["metadata"]["query"]
        assert (trigger.get("metricType") == "Value") == is_time, trigger


def test_prometheus_rule_has_the_rules_of_compose_and_links_to_the_gateway(made: Manifests) -> None:
    (rule,) = made.documents("PrometheusRule").values()
    groups = deepcopy(rule["spec"]["groups"])
    compose = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())["groups"]
    public = made.documents("ConfigMap")["gateway-settings"]["data"]["GATEWAY_PUBLIC_URL"]
    pages, _ = (
        {alert["annotations"].pop("runbook_url").partition("#")[0] for alert in alerts["rules"]}
        for _, alerts in (groups, compose)
    )
    assert pages == {f"{public}/docs/runbook.md"}
    assert groups == compose, "run `make dashboards`"
    assert {r["record"].partition(":")[0] for r in groups[0]["rules"]} == {"slo"}


def test_dashboards_are_config_maps_that_grafana_loads(made: Manifests) -> None:
    labelled = [(found["metadata"]["labels"], found) for found in made.documents("ConfigMap").values()]
    maps = [found for labels, found in labelled if labels.get("grafana_dashboard") == "1"]
    loaded = {name: text for found in maps for name, text in found["data"].items()}
    assert loaded == {path.name: path.read_text() for path in (ROOT / "deploy/grafana/dashboards").glob("*.json")}
    for found in maps:
        assert len(json.dumps(found)) < 262_144, "kubectl apply writes the object into an annotation"


def test_pods_run_as_an_account_without_rights(made: Manifests) -> None:
    accounts = made.documents("ServiceAccount")
    assert {d["spec"]["template"]["spec"]["serviceAccountName"] for d in made.deployments.values()} == set(accounts)
    assert all(account["automountServiceAccountToken"] is False for account in accounts.values())


COMPOSE = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())["services"]


@pytest.mark.parametrize("name", ["beat", "gateway"])
def test_process_is_that_of_compose(made: Manifests, name: str) -> None:
    """Compose has one worker for all queues, which has no equal here."""
    pod = container(made.deployments[name])
    service = COMPOSE[name]
    assert pod["args"] == service["command"]
    assert pod["resources"]["limits"]["memory"].lower() == f"{service['mem_limit']}i"
    references = {entry["name"] for entry in pod["env"] if "valueFrom" in entry}
    optional = {"GATEWAY_BROKER_URL", "GATEWAY_FAL_ADMIN_KEY", "GATEWAY_FAL_PROXY_URL", "GATEWAY_MEDIA_PROXY_URL"}
    optional |= {"GATEWAY_OIDC_CLIENT_SECRET"}
    secrets = {"GATEWAY_REDIS_URL", "GATEWAY_SECRET_KEY", "GATEWAY_ADMIN_TOKEN", "GATEWAY_FAL_KEY"}
    calls_no_fal = "calls-no-fal" in service["environment"]["GATEWAY_FAL_KEY"]
    assert references - optional == (secrets - {"GATEWAY_FAL_KEY"} if calls_no_fal else secrets) & set(
        service["environment"]
    )


def test_metrics_settings_are_those_of_compose(made: Manifests) -> None:
    settings = made.documents("ConfigMap", "base")["gateway-settings"]["data"]
    assert settings == {name: COMPOSE["worker"]["environment"][name] for name in settings}
    assert set(settings) == {"GATEWAY_METRICS_HOST", "GATEWAY_METRICS_PORT"}


@pytest.mark.parametrize("name", ["gateway", "worker"])
def test_time_to_stop_is_that_of_compose(made: Manifests, name: str) -> None:
    """In a cluster, a gateway also waits until proxies have removed its address."""
    grace = int(COMPOSE[name]["stop_grace_period"].removesuffix("s"))
    pods = [d["spec"]["template"]["spec"] for pod, d in made.deployments.items() if pod.startswith(name)]
    assert {pod["terminationGracePeriodSeconds"] for pod in pods} == {grace + (10 if name == "gateway" else 0)}
