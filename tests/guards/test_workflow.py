"""The workflow of a public forge, as far as a file can be checked: schema, rights, targets, order of the steps."""

import json
import re
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
import yaml

from tests.guards.repository import ROOT

PATH = ROOT / ".github/workflows/release.yml"
WORKFLOW: dict[Any, Any] = yaml.safe_load(PATH.read_text())
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
#: The rights of each job beyond reading the code.
RIGHTS = {
    "test": {},
    "image": {"packages": "write", "id-token": "write", "attestations": "write"},
    "files": {"contents": "write", "id-token": "write", "attestations": "write"},
}


def schema(name: str) -> Any:
    return json.loads((files("check_jsonschema") / f"builtin_schemas/vendor/{name}.json").read_text())


def commands(job: str) -> str:
    return "\n".join(step.get("run", "") for step in JOBS[job]["steps"])


def test_workflow_satisfies_the_schema() -> None:
    content = {"on" if name is True else name: value for name, value in WORKFLOW.items()}  # YAML 1.1 reads `on` as true
    jsonschema.validate(content, schema("github-workflows"))


def test_renovate_pins_base_image_and_actions() -> None:
    content = json.loads((ROOT / "renovate.json").read_text())
    jsonschema.validate(content, schema("renovate"))
    assert content["extends"] == ["docker:pinDigests", "helpers:pinGitHubActionDigests"]


@pytest.mark.parametrize("job", JOBS)
def test_job_has_the_fewest_rights(job: str) -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    granted = JOBS[job].get("permissions", WORKFLOW["permissions"])
    assert {name: value for name, value in granted.items() if (name, value) != ("contents", "read")} == RIGHTS[job]
    for step in JOBS[job]["steps"]:
        assert "${{" not in step.get("run", ""), "a shell reads values of the forge from its environment only"
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("job", ["image", "files"])
def test_only_a_tag_publishes_and_after_the_tests(job: str) -> None:
    assert JOBS[job]["if"] == "startsWith(github.ref, 'refs/tags/v')"
    assert JOBS["image"]["needs"] == "test"
    assert JOBS["files"]["needs"] == "image"


def test_workflow_uses_targets_of_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = {word for job in JOBS for line in re.findall(r"\bmake (.+)", commands(job)) for word in line.split()}
    assert used >= {"check", "test", "image-test", "wheel", "sbom"}
    assert used <= targets


def test_image_is_built_on_a_digest_and_signed_by_digest() -> None:
    text = commands("image")
    order = ["BASE=$base", "make sbom", "cosign sign --yes", "cosign attest --yes --type cyclonedx"]
    assert [text.index(part) for part in order] == sorted(text.index(part) for part in order)
    assert re.findall(r'"\$IMAGE@?[^"]*"', text.partition("make sbom")[2]) == ['"$IMAGE@$DIGEST"'] * 2
    assert re.findall(r"^ARG BASE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)


def test_dockerfile_stages_share_one_base() -> None:
    names = re.findall(r"^FROM (\S+) AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert {base for base, _ in names} - {stage for _, stage in names} == {"${BASE}"}
