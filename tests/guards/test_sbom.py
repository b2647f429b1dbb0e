"""Bills of materials: exactly the packages of the locks, with hashes and licences, and the same bytes each time."""

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from sbom import locks
from sbom.bill import bill, text
from tests.guards.repository import ROOT
from tests.guards.test_dependencies import pins

#: Licences that allow to use and to distribute each package with this Apache-2.0 program, in source and in images.
#: MPL-2.0 (certifi) covers its own files only. By SPDX id, or by the classifier where a package declares no id.
ALLOWED = {
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MIT-CMU",
    "MPL-2.0",
    "PSF-2.0",
    "Python-2.0",
    "Zlib",
    "License :: OSI Approved :: Apache Software License",
    "License :: OSI Approved :: BSD License",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)",
}
#: Packages without a licence that cyclonedx-py reads, and what their metadata says under License.
FREE_TEXT = {"protobuf": "3-Clause BSD License"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Run the command twice at once, from two folders and with two seeds of hashes. Return the folders of the files."""
    folders = [tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")]
    environment = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "sbom", str(folder / "made")],
            cwd=folder,
            env={**environment, "PYTHONHASHSEED": str(seed), "TZ": f"Etc/GMT+{seed}"},
            stdout=subprocess.DEVNULL,
        )
        for seed, folder in enumerate(folders)
    ]
    assert [process.wait(600) for process in running] == [0, 0]
    return [folder / "made" for folder in folders]


def read(folder: Path, image: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / f"{image}.cdx.json").read_text())
    return content


@pytest.mark.parametrize("image", locks.IMAGES)
def test_sbom_lists_exactly_the_locked_packages(made: list[Path], image: str) -> None:
    wanted = {name: pin for lock in locks.IMAGES[image] for name, pin in pins(ROOT / lock).items()}
    components = read(made[0], image)["components"]
    assert {each["name"]: each["version"] for each in components} == wanted
    assert len(components) == len(wanted)


@pytest.mark.parametrize("image", locks.IMAGES)
def test_sbom_has_every_hash_of_the_locks(made: list[Path], image: str) -> None:
    listed = {
        found["content"]
        for each in read(made[0], image)["components"]
        for found in each["externalReferences"][0]["hashes"]
    }
    lines = "".join((ROOT / lock).read_text() for lock in locks.IMAGES[image]).split("--hash=sha256:")[1:]
    assert listed == {line.split()[0] for line in lines}


@pytest.mark.parametrize("image", locks.IMAGES)
def test_sbom_of_same_locks_has_same_bytes(made: list[Path], image: str) -> None:
    first, second = ((folder / f"{image}.cdx.json").read_bytes() for folder in made)
    assert first == second
    assert "serialNumber" not in json.loads(first)
    assert "timestamp" not in json.loads(first)["metadata"]
    assert str(ROOT) not in first.decode()


@pytest.mark.parametrize("image", locks.IMAGES)
def test_sbom_dependencies_reach_every_package(made: list[Path], image: str) -> None:
    content = read(made[0], image)
    needs = {each["ref"]: each.get("dependsOn", []) for each in content["dependencies"]}
    reached: set[str] = set()
    waiting = [content["metadata"]["component"]["bom-ref"]]
    while waiting:
        ref = waiting.pop()
        if ref not in reached:
            reached.add(ref)
            waiting += needs[ref]
    assert reached == set(needs)
    assert len(reached) == len(content["components"]) + 1


def test_sbom_outside_the_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="no CycloneDX document"):
        text({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"name": "a"}]})


def test_sbom_package_that_is_not_installed_has_no_licence() -> None:
    empty = {"components": [], "dependencies": [], "metadata": {"component": {"bom-ref": "root-component"}}}
    assert all("licenses" not in each for each in bill(ROOT, "gateway", empty)["components"])


def declared(component: dict[str, Any]) -> list[str]:
    """Return the licences of a component: SPDX ids, the parts of SPDX expressions, or classifiers."""
    entries = [each.get("license", each) for each in component.get("licenses", [])]
    names = [each.get("id") or each.get("name") or each["expression"] for each in entries]
    if not names and component["name"] in FREE_TEXT:
        assert metadata.metadata(component["name"])["License"] == FREE_TEXT[component["name"]]
        return ["BSD-3-Clause"]
    return [part for name in names for part in ([name] if "::" in name else _parts(name))]


def _parts(expression: str) -> list[str]:
    """Return the licences that apply: of ``OR`` the first allowed one."""
    return [
        next((choice for choice in choices if choice in ALLOWED), choices[0])
        for term in expression.replace("(", "").replace(")", "").split(" AND ")
        for choices in [term.split(" OR ")]
    ]


def test_licences_of_all_packages_are_allowed(made: list[Path]) -> None:
    """A package with another licence needs a decision: add the licence to ALLOWED, or use another package."""
    found = {each["name"]: declared(each) for each in read(made[0], "sandbox")["components"]}
    assert {name: names for name, names in found.items() if not names or set(names) - ALLOWED} == {}


@pytest.mark.parametrize(
    ("licences", "expected"),
    [
        ([{"license": {"id": "GPL-3.0-only"}}], {"GPL-3.0-only"}),
        ([{"expression": "MIT AND AGPL-3.0-only"}], {"AGPL-3.0-only"}),
        ([{"expression": "GPL-2.0-only OR MIT"}], set()),
        ([{"license": {"name": "Proprietary"}}], {"Proprietary"}),
        ([{"license": {"id": "MIT"}}, {"license": {"id": "SSPL-1.0"}}], {"SSPL-1.0"}),
    ],
)
def test_licence_outside_of_the_list_is_found(licences: list[dict[str, Any]], expected: set[str]) -> None:
    assert set(declared({"name": "redis", "licenses": licences})) - ALLOWED == expected


def test_project_has_the_licence_that_it_declares() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text()
