"""What the built manifests let in and out, and what their selectors match. No cluster runs."""

import json
from pathlib import Path

import pytest

from service.api.http.dependencies import LONGEST_WAIT
from service.config.settings import Settings
from service.config.types import OWN_SEGMENTS
from service.domain import callback
from service.net import networks
from tests.support.manifests import CALL_FAL, DEPLOYMENTS, Manifests, container, matches


def test_selectors_match_their_pods(made: Manifests) -> None:
    expected = {
        ("Service", "gateway"): {"gateway"},
        ("Service", "gateway-metrics"): {"gateway"},
        ("PodDisruptionBudget", "gateway"): {"gateway"},
        ("PodDisruptionBudget", "worker-dispatch"): {"worker-dispatch"},
        ("PodDisruptionBudget", "worker-webhooks"): {"worker-webhooks"},
        ("PodMonitor", "backstage"): set(made.deployments) - {"gateway"},
        ("NetworkPolicy", "deny-all"): set(made.deployments),
        ("NetworkPolicy", "gateway"): {"gateway"},
        ("NetworkPolicy", "metrics"): set(made.deployments),
        ("NetworkPolicy", "redis"): set(made.deployments),
        ("NetworkPolicy", "internet"): set(made.deployments) - {"beat"},
    }
    for (kind, name), meant in expected.items():
        spec = made.documents(kind)[name]["spec"]
        selector = spec["podSelector"] if kind == "NetworkPolicy" else spec["selector"]
        selector = {"matchLabels": selector} if kind == "Service" else selector
        assert made.pods(selector) == meant, (kind, name)
    assert set(made.documents("NetworkPolicy")) == {name for kind, name in expected if kind == "NetworkPolicy"}
    (monitored,) = made.documents("ServiceMonitor").values()
    scraped = [
        n
        for n, s in made.documents("Service").items()
        if matches(monitored["spec"]["selector"], s["metadata"]["labels"])
    ]
    assert scraped == ["gateway-metrics"]
    for deployment in made.deployments.values():
        assert matches(deployment["spec"]["selector"], deployment["spec"]["template"]["metadata"]["labels"])


def test_metrics_port_is_not_on_the_service_of_callers(made: Manifests) -> None:
    services = {
        name: {port["targetPort"] for port in s["spec"]["ports"]} for name, s in made.documents("Service").items()
    }
    assert (services["gateway"], services["gateway-metrics"]) == ({"http"}, {"metrics"})
    (rule,) = made.documents("NetworkPolicy")["gateway"]["spec"]["ingress"]
    assert [port["port"] for port in rule["ports"]] == ["http"]
    for kind in ("ServiceMonitor", "PodMonitor"):
        for monitor in made.documents(kind).values():
            ends = monitor["spec"].get("endpoints") or monitor["spec"]["podMetricsEndpoints"]
            assert {end["port"] for end in ends} == {"metrics"}


def test_network_policies_allow_gateway_in_and_beat_to_redis(made: Manifests) -> None:
    policies = made.documents("NetworkPolicy")
    open_to_all = [n for n, p in policies.items() if any("from" not in rule for rule in p["spec"].get("ingress", []))]
    assert open_to_all == ["gateway"]
    for policy in policies.values():
        blocks = json.dumps(policy["spec"].get("egress", []))
        assert not ("beat" in made.pods(policy["spec"]["podSelector"]) and "0.0.0.0/0" in blocks)


def test_egress_excepts_each_network_that_is_not_public(made: Manifests) -> None:
    """The policy and the guard of webhooks and images refuse the same networks."""
    (allowed,) = made.documents("NetworkPolicy")["internet"]["spec"]["egress"]
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
def test_component_opens_its_addresses_only(
    made: Manifests, component: str, addresses: set[str], pods: set[str]
) -> None:
    policies, usual = (made.documents("NetworkPolicy", build) for build in (component, "base"))
    (added,) = policies.keys() - usual.keys()
    assert {name: policies[name] for name in usual} == usual
    (rule,) = policies[added]["spec"]["egress"]
    assert {entry["ipBlock"]["cidr"] for entry in rule["to"]} == addresses
    assert made.pods(policies[added]["spec"]["podSelector"]) == pods


def test_private_networks_are_opened_to_the_processes_that_need_them(made: Manifests) -> None:
    policies, usual = (made.documents("NetworkPolicy", build) for build in ("private-networks", "base"))
    opened = {name: made.pods(policies[name]["spec"]["podSelector"]) for name in policies.keys() - usual.keys()}
    assert opened == {"collector": set(made.deployments), "receivers": {"worker-webhooks"}, "upstream": CALL_FAL}
    assert all("ingress" not in policies[name]["spec"] for name in opened)


def _paths(made: Manifests, build: str) -> dict[str, set[str]]:
    """Return the paths of each way in, by its name."""
    return {
        "ingress": {
            name: {path["path"] for rule in route["spec"]["rules"] for path in rule["http"]["paths"]}
            for name, route in made.documents("Ingress", build).items()
        },
        "gateway-api": {
            name: {match["path"]["value"] for rule in route["spec"]["rules"] for match in rule["matches"]}
            for name, route in made.documents("HTTPRoute", build).items()
        },
    }[build]


@pytest.mark.parametrize("build", ["ingress", "gateway-api"])
def test_internet_reaches_callbacks_and_nothing_else(made: Manifests, build: str) -> None:
    """Of the routes, /admin/v1, /console and the probes are on no way in."""
    paths = _paths(made, build)
    assert paths["callbacks"] == {callback.PATH}
    first = {path.split("/")[1] for path in paths["gateway"]}
    assert first == OWN_SEGMENTS - {"admin", "callbacks", "console", "healthz", "readyz"}


def test_ingress_bounds_are_those_of_the_gateway(made: Manifests) -> None:
    annotations = made.documents("Ingress", "ingress")["gateway"]["metadata"]["annotations"]
    of = {name.rpartition("/")[2]: value for name, value in annotations.items()}
    largest = max(Settings.model_fields[name].default for name in ("max_upload_bytes", "max_inline_bytes"))
    assert int(of["proxy-body-size"].removesuffix("m")) * 1_000_000 > largest
    assert (of["proxy-buffering"], of["proxy-request-buffering"]) == ("off", "off")
    assert int(of["proxy-read-timeout"]) > LONGEST_WAIT
    for name in ("gateway", "callbacks"):
        for rule in made.documents("Ingress", "ingress")[name]["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                service = path["backend"]["service"]
                ports = {
                    port["name"] for port in made.documents("Service", "ingress")[service["name"]]["spec"]["ports"]
                }
                assert service["port"]["name"] in ports


def test_media_credentials_are_of_pods_with_videos(made: Manifests) -> None:
    found = {
        name: [entry["secretRef"]["name"] for entry in container(deployment)["envFrom"] if "secretRef" in entry]
        for name, deployment in made.documents("Deployment", "media-credentials").items()
    }
    assert {name for name, secrets in found.items() if secrets} == CALL_FAL
    assert found["gateway"] == ["gateway-media-store"]


def test_models_file_is_mounted_in_every_pod(made: Manifests) -> None:
    deployments = made.documents("Deployment", "models-file")
    assert set(deployments) == set(DEPLOYMENTS)
    settings = made.documents("ConfigMap", "models-file")["gateway-settings"]["data"]
    folder = str(Path(settings["GATEWAY_MODELS_FILE"]).parent)
    for deployment in deployments.values():
        only = container(deployment)
        volume = next(mount["name"] for mount in only["volumeMounts"] if mount["mountPath"] == folder)
        volumes = {entry["name"]: entry for entry in deployment["spec"]["template"]["spec"]["volumes"]}
        assert volumes[volume]["configMap"] == {"name": "gateway-models"}


def test_workload_identity_is_of_pods_with_videos(made: Manifests) -> None:
    found = {
        name: d["spec"]["template"]["spec"].get("serviceAccountName")
        for name, d in made.documents("Deployment", "workload-identity").items()
    }
    assert {name for name, account in found.items() if account == "seedance-gateway"} == CALL_FAL
