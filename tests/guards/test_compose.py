"""compose.yaml and the files that it mounts match their schemas and name existing objects. No container engine runs."""

import json
import re
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
import yaml

from service.config.settings import PREFIX, Settings
from tests.guards.repository import ROOT
from tests.support.redis_users import users
from tests.support.snippets import yaml_blocks

COMPOSE = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}


def _schema() -> Any:
    return json.loads((files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text())


def test_file_matches_compose_schema() -> None:
    jsonschema.validate(COMPOSE, _schema())


def test_documented_models_file_is_of_every_process_of_ours() -> None:
    """The YAML of the page about models is a second file for compose."""
    file = yaml.safe_load(yaml_blocks(ROOT / "docs/how-to/models.md")[0])
    jsonschema.validate(file, _schema())
    assert set(file["services"]) == set(OURS)
    for name, service in file["services"].items():
        (mount,) = service["volumes"]
        path = mount.split(":")[1]
        variables = {"SANDBOX_MODELS_FILES": f'["{path}"]'} if name == "sandbox" else {"GATEWAY_MODELS_FILE": path}
        assert service["environment"] == variables


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
            if re.search("SECRET|TOKEN|PASSWORD|_AUTH$", variable):
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), variable


#: Which service has which secret: the variable of the person who starts it, found anywhere in the service.
SECRETS = {
    "GATEWAY_SECRET_KEY": {"gateway", "worker", "beat"},
    "GATEWAY_ADMIN_TOKEN": {"gateway"},
    "GATEWAY_FAL_KEY": {"gateway", "worker"},
    "REDIS_PASSWORD": {"gateway", "worker", "beat", "redis"},
    "GRAFANA_PASSWORD": {"grafana"},
}


def test_each_service_has_only_the_secrets_that_it_uses() -> None:
    for secret, wanted in SECRETS.items():
        found = {name for name, service in SERVICES.items() if f"${{{secret}:" in json.dumps(service)}
        assert found == wanted, secret
    named = set(re.findall(r"\$\{(\w*(?:SECRET|TOKEN|PASSWORD|KEY)\w*)", json.dumps(COMPOSE)))
    assert named == set(SECRETS), "a new secret needs a row"


@pytest.mark.parametrize("name", SERVICES)
def test_services_have_no_rights_and_read_only_root(name: str) -> None:
    service = SERVICES[name]
    assert (service["read_only"], service["cap_drop"], service["security_opt"]) == (
        True,
        ["ALL"],
        ["no-new-privileges:true"],
    )
    root = {"", "0", "root"}
    user = service.get("user", "10001" if "build" in service else "").partition(":")[0]
    assert user not in root, "images of this repository set their user themselves"
    assert not {"privileged", "cap_add", "network_mode", "pid", "devices"} & set(service)


def test_redis_has_memory_limit_and_needs_a_password() -> None:
    options = dict(
        line.split(maxsplit=1) for line in (ROOT / "deploy/redis.conf").read_text().splitlines() if line[:1] not in "# "
    )
    assert options["maxmemory-policy"] == "noeviction"
    assert int(options["maxmemory"].removesuffix("gb")) > 0
    assert options["protected-mode"] == "yes"
    off, gateway = users()
    assert off.split()[:3] == ["user", "default", "off"]
    assert {"resetkeys", "~{sg}*", "resetchannels", "&{sg}*", "-@all", "-@dangerous"} <= set(gateway.split())


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


def test_every_setting_passes_through_and_none_of_the_secrets_is_in_the_file() -> None:
    """`environment` wins over the file, so each process keeps the keys that it has there."""
    for name in ("gateway", "worker", "beat"):
        assert SERVICES[name]["env_file"] == [{"path": "gateway.env", "required": False}]
    assert not (ROOT / "deploy/gateway.env").exists()
    assert "gateway.env" in (ROOT / ".gitignore").read_text(), "it holds settings of one machine"


def test_every_service_has_a_memory_limit() -> None:
    limits = {name: _bytes(service["mem_limit"]) for name, service in SERVICES.items()}
    redis = re.search(r"^maxmemory (\w+)b$", (ROOT / "deploy/redis.conf").read_text(), re.MULTILINE)
    assert redis is not None
    assert limits["redis"] >= 2 * _bytes(redis[1]), "a rewrite of the append-only file copies pages"


def _bytes(text: str) -> int:
    return int(text[:-1]) * int(1024 ** " kmg".index(text[-1]))


def test_password_of_grafana_is_its_own() -> None:
    assert "${GRAFANA_PASSWORD:" in SERVICES["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD"]
