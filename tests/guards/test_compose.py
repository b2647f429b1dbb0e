"""compose.yaml and the files that it mounts match their schemas and name existing objects. No container engine runs."""

import json
import re
from importlib.resources import files

import jsonschema
import yaml

from service.config.settings import PREFIX, Settings
from tests.guards.repository import ROOT

COMPOSE = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}


def test_file_matches_compose_schema() -> None:
    schema = files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    jsonschema.validate(COMPOSE, json.loads(schema.read_text()))


def test_images_are_build_stages_or_have_versions() -> None:
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    assert {service["build"]["target"] for service in OURS.values()} <= stages
    assert set(OURS) == {"gateway", "worker", "beat", "sandbox"}
    assert [
        name for name in SERVICES.keys() - OURS.keys() if not re.search(r":[\w.-]+$", SERVICES[name]["image"])
    ] == []


def test_variables_are_settings_and_secrets_have_no_default() -> None:
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            assert not variable.startswith(PREFIX) or variable.removeprefix(PREFIX).lower() in Settings.model_fields
            if re.search("SECRET|TOKEN|PASSWORD", variable):
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), variable


def test_services_have_no_rights_and_read_only_root() -> None:
    assert {(s["read_only"], *s["cap_drop"], *s["security_opt"]) for s in OURS.values()} == {
        (True, "ALL", "no-new-privileges:true")
    }


def test_named_objects_exist() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (ROOT / "deploy" / source).exists(), volume
        assert set(service.get("depends_on", [])) <= set(SERVICES), name
        published = [port.rpartition(":")[2] for port in service.get("ports", [])]
        assert service.get("environment", {}).get("GATEWAY_METRICS_PORT") not in published, "metrics stay inside"
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), "nothing is open to the network by default"


def test_processes_without_http_have_a_healthcheck() -> None:
    for name in ("worker", "beat"):
        port = SERVICES[name]["environment"]["GATEWAY_METRICS_PORT"]
        assert f":{port}/healthz" in " ".join(SERVICES[name]["healthcheck"]["test"])


def test_prometheus_scrapes_each_process_on_its_port() -> None:
    scraped = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    targets = {job["job_name"]: job["dns_sd_configs"][0] for job in scraped["scrape_configs"]}
    assert {name: (t["names"], t["port"]) for name, t in targets.items()} == {
        "gateway": (["gateway"], int(SERVICES["gateway"]["environment"]["GATEWAY_METRICS_PORT"])),
        "worker": (["worker"], int(SERVICES["worker"]["environment"]["GATEWAY_METRICS_PORT"])),
        "beat": (["beat"], int(SERVICES["beat"]["environment"]["GATEWAY_METRICS_PORT"])),
    }
    for name in scraped["rule_files"]:
        assert "groups" in yaml.safe_load((ROOT / "deploy/prometheus" / name).read_text())


def test_grafana_has_datasource_and_dashboards() -> None:
    provisioning = ROOT / "deploy/grafana/provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((provisioning / "dashboards/gateway.yaml").read_text())["providers"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in SERVICES["grafana"]["volumes"]
