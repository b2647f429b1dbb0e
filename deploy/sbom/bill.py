"""The bill of one image, built from its locks and from what cyclonedx-py reads in an environment."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sbom import locks
from sbom.locks import Package

_SCHEMA: Final = SchemaVersion.V1_6
_ROOT: Final = "root-component"

Bill = dict[str, Any]


def environment(root: Path) -> Bill:
    """Return the bill of this Python's environment, made by cyclonedx-py. It has more packages than an image."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--no-validate"]
    options = ["--spec-version", _SCHEMA.to_version(), "--pyproject", str(root / "pyproject.toml"), sys.executable]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=True)  # noqa: S603
    found: Bill = json.loads(done.stdout)
    return found


def bill(root: Path, image: str, installed: Bill) -> Bill:
    """Return the bill of an image. ``installed``: from ``environment``."""
    packages = locks.read(root, locks.IMAGES[image])
    known: dict[str, Bill] = {canonicalize_name(each["name"]): each for each in installed["components"]}
    refs = {package.name: f"{package.name}=={package.version}" for package in packages}
    needs = {each["ref"]: each.get("dependsOn", []) for each in installed["dependencies"]}
    edges = {refs[package.name]: needs.get(known.get(package.name, {}).get("bom-ref"), []) for package in packages}
    edges[_ROOT] = _direct(root, locks.EXTRAS[image])
    main = installed["metadata"]["component"] | {"name": f"seedance-{image}"}
    return {
        **{name: value for name, value in installed.items() if name != "dependencies"},
        "metadata": installed["metadata"] | {"component": main},
        "components": [_component(package, refs[package.name], known.get(package.name, {})) for package in packages],
        "dependencies": [_dependency(ref, names, refs) for ref, names in sorted(edges.items())],
    }


def text(content: Bill) -> str:
    """Return a bill as JSON, always with the same order and spaces.

    Raises:
        ValueError: the bill does not satisfy the schema of CycloneDX.

    """
    written = json.dumps(content, indent=2, sort_keys=True) + "\n"
    if (problem := JsonStrictValidator(_SCHEMA).validate_str(written)) is not None:
        raise ValueError(f"This is no CycloneDX document: {problem}")
    return written


def _component(package: Package, ref: str, known: Mapping[str, Any]) -> Bill:
    same = known if known.get("version") == package.version else {}
    accepted = {
        "type": "distribution",
        "url": package.purl,
        "comment": "the files that the lock accepts",
        "hashes": [{"alg": "SHA-256", "content": value} for value in package.hashes],
    }
    return {
        **{name: same[name] for name in ("description", "licenses") if name in same},
        "type": "library",
        "bom-ref": ref,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
        "externalReferences": [accepted],
    }


def _dependency(ref: str, names: Iterable[str], refs: Mapping[str, str]) -> Bill:
    """``names``: of packages, with or without ``==version``. Those outside of the bill are left out."""
    wanted = {canonicalize_name(name.partition("==")[0]) for name in names}
    found = sorted(refs[name] for name in wanted & refs.keys())
    return {"ref": ref, "dependsOn": found} if found else {"ref": ref}


def _direct(root: Path, extras: Iterable[str]) -> list[str]:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for name in extras for line in project["optional-dependencies"][name])]
    return [Requirement(line).name for line in lines]
