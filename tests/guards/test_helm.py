"""The chart is complete: its generated files, its versions, its linter, and the settings in its schema."""

import re
from functools import cache
from pathlib import Path

import jsonschema
import pytest
import yaml

from monitoring import __main__ as generator
from reference.chart import files, settings
from reference.settings import as_variable
from service.config.settings import PREFIX, Settings
from tests.guards.repository import ROOT
from tests.support import helm
from tests.support.helm import Document, Rendering, Values
from tests.support.manifests import DEPLOYMENTS, container

GENERATED = files.files()
DEPLOY = ROOT / "docs/how-to/deploy.md"
PUBLIC: Values = {
    "settings": {"GATEWAY_PUBLIC_URL": "https://gateway.example.com", "GATEWAY_ACCOUNT_DAILY_BUDGET_USD": 50}
}


@cache
def report() -> Document:
    (documented,) = re.findall(r"```yaml\n(# values.yaml\n.*?)```", DEPLOY.read_text(), re.DOTALL)
    cases: dict[str, Values] = {"default": {}, "override": {"fullnameOverride": "vids"}, "public": PUBLIC}
    return helm.report({**cases, "documented": yaml.safe_load(documented)})


def rendering(case: str) -> Rendering:
    return Rendering(report()["cases"][case])


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.name)
def test_chart_file_is_generated(path: Path) -> None:
    assert path.read_text() == GENERATED[path], "run: make docs"


def test_linter_finds_nothing_but_the_missing_icon() -> None:
    assert [message["error"] for message in report()["lint"]["messages"]] == ["icon is recommended"]
    assert report()["lint"]["errors"] == []


def test_chart_has_the_version_of_the_package() -> None:
    (version,) = re.findall(r'(?m)^version = "(.+)"$', (ROOT / "pyproject.toml").read_text())
    assert (report()["metadata"]["version"], report()["metadata"]["appVersion"]) == (version, version)


def test_every_name_begins_with_the_release_or_its_override() -> None:
    assert {d["metadata"]["name"].partition("-")[0] for d in rendering("default").documents} == {helm.RELEASE}
    assert {d["metadata"]["name"].partition("-")[0] for d in rendering("override").documents} == {"vids"}


def test_notes_name_what_is_missing() -> None:
    notes = rendering("default").notes
    assert "GATEWAY_PUBLIC_URL is not set" in notes
    assert "GATEWAY_ACCOUNT_DAILY_BUDGET_USD is not set" in notes
    assert "exec deployment/blue-gateway -- seedance-gateway doctor" in notes
    assert "is not set" not in rendering("public").notes


def test_documented_values_render() -> None:
    found = rendering("documented")
    assert found.names("Ingress") == {"gateway", "callbacks"}
    assert found.find("ConfigMap", "settings")["data"]["GATEWAY_ACCOUNT_DAILY_BUDGET_USD"] == "500"


def test_changed_setting_rolls_every_pod() -> None:
    checksums = [
        [
            rendering(case).find("Deployment", name)["spec"]["template"]["metadata"]["annotations"]["checksum/settings"]
            for name in DEPLOYMENTS
        ]
        for case in ("default", "public")
    ]
    assert not set(checksums[0]) & set(checksums[1])


def test_pods_have_every_setting_that_is_a_secret() -> None:
    found = rendering("default")
    referred = {
        entry["name"]
        for name in DEPLOYMENTS
        for entry in container(found.find("Deployment", name))["env"]
        if "valueFrom" in entry
    }
    assert referred == {PREFIX + name.upper() for name in settings.secrets()}


def test_schema_accepts_the_default_of_each_setting() -> None:
    """As the text of a variable, and as the JSON that most texts are."""
    defaults = {
        PREFIX + name.upper(): as_variable(field.default)
        for name, field in Settings.model_fields.items()
        if name not in settings.secrets() | settings.COMMAND_LINE | set(settings.FIXED)
        and field.default not in (None, ())
    }
    accepted = files.schema()["properties"]["settings"]
    jsonschema.validate(defaults, accepted)
    jsonschema.validate({name: yaml.safe_load(text) for name, text in defaults.items()}, accepted)


def test_schema_has_every_setting_and_describes_every_value() -> None:
    schema = files.schema()
    assert set(schema["properties"]["settings"]["properties"]) == {PREFIX + n.upper() for n in Settings.model_fields}
    objects = [schema, *schema["$defs"].values(), schema["properties"]["settings"]]
    for described in objects:
        assert described["additionalProperties"] is False
        for name, value in described["properties"].items():
            assert "const" in value or value.get("description") or described in plain(schema), name


def plain(schema: Document) -> list[Document]:
    """Return the schemas of variables, whose fields are those of Kubernetes."""
    return [schema["$defs"][name] for name in ("PlainVariable", "ReferredVariable")]


def test_chart_has_the_dashboards_and_alerts_and_no_other_file() -> None:
    """Copies: `make dashboards` writes them, and a test of the generator compares them."""
    found = {path for path in (helm.CHART / "files").rglob("*") if path.is_file()}
    assert found == {path for path in generator.files() if path.is_relative_to(helm.CHART)}
    assert len(found) == 6
