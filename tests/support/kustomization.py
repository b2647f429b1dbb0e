"""The part of kustomize that the repository uses, in Python, because pip cannot install kustomize.

An unknown field fails. Not implemented: the hash in the name of a generated ConfigMap. Except for that, the output for
this repository was compared with that of kustomize 5.6 and is equal.
"""

import re
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import yaml

Document = dict[str, Any]
_KNOWN: Final = {
    "apiVersion",
    "kind",
    "namespace",
    "resources",
    "labels",
    "images",
    "configMapGenerator",
    "generatorOptions",
    "patches",
    "replacements",
    "components",
}
_CLUSTER_WIDE: Final = {"Namespace"}


def build(folder: Path) -> list[Document]:
    return build_on([], folder)


def build_on(documents: list[Document], folder: Path) -> list[Document]:
    """Apply a kustomization to documents: a component sees the resources of the overlay that includes it."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert set(kustomization) <= _KNOWN, set(kustomization) - _KNOWN
    documents = [*documents, *(d for name in kustomization.get("resources", []) for d in _resource(folder / name))]
    for component in kustomization.get("components", []):
        documents = build_on(documents, folder / component)
    for generator in kustomization.get("configMapGenerator", []):
        _generate(documents, generator, folder, kustomization.get("generatorOptions", {}))
    for patch in kustomization.get("patches", []):
        _patch(documents, patch, folder)
    for label in kustomization.get("labels", []):
        _label(documents, label)
    for image in kustomization.get("images", []):
        _name_image(documents, image)
    for replacement in kustomization.get("replacements", []):
        _replace(documents, replacement)
    for document in documents:
        if "namespace" in kustomization and document["kind"] not in _CLUSTER_WIDE:
            document["metadata"]["namespace"] = kustomization["namespace"]
    return documents


def _resource(path: Path) -> list[Any]:
    return build(path) if path.is_dir() else [document for document in yaml.safe_load_all(path.read_text()) if document]


def _generate(documents: list[Document], generator: Document, folder: Path, options: Document) -> None:
    assert set(generator) <= {"name", "envs", "files", "literals", "behavior"}, generator
    assert set(options) <= {"disableNameSuffixHash", "labels"}, options
    lines = [line for name in generator.get("envs", []) for line in (folder / name).read_text().splitlines()]
    data = dict(line.split("=", 1) for line in [*lines, *generator.get("literals", [])] if line and line[0] != "#")
    data.update({Path(name).name: (folder / name).read_text() for name in generator.get("files", [])})
    if generator.get("behavior") == "merge":
        (known,) = (d for d in documents if (d["kind"], d["metadata"]["name"]) == ("ConfigMap", generator["name"]))
        known["data"].update(data)
    else:
        metadata = {"name": generator["name"], **({"labels": dict(options["labels"])} if "labels" in options else {})}
        documents.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def _patch(documents: list[Document], patch: Document, folder: Path) -> None:
    assert set(patch) <= {"path", "target"}, patch
    (laid_over,) = _resource(folder / patch["path"])
    target = patch.get("target") or {"kind": laid_over["kind"], "name": re.escape(laid_over["metadata"]["name"])}
    assert set(target) <= {"kind", "name"}, target
    hit = [
        document
        for document in documents
        if document["kind"] == target["kind"] and re.fullmatch(target.get("name", ".*"), document["metadata"]["name"])
    ]
    assert hit, f"{patch} matches nothing"
    for document in hit:
        if isinstance(laid_over, list):
            for step in laid_over:
                _apply(document, step)
        else:
            above = {name: value for name, value in laid_over.items() if name not in ("apiVersion", "kind", "metadata")}
            document.update(merged(document, above))


def _apply(document: Document, step: Document) -> None:
    """Apply one operation of a JSON patch."""
    assert step["op"] in ("add", "replace"), step
    *way, last = step["path"].strip("/").split("/")
    parent: Any = document
    for part in way:
        parent = parent[int(part)] if isinstance(parent, list) else parent[part]
    if isinstance(parent, list):
        assert (step["op"], last) == ("add", "-"), step
        parent.append(deepcopy(step["value"]))
    else:
        assert step["op"] == "add" or last in parent, step
        parent[last] = step["value"]


def _replace(documents: list[Document], replacement: Document) -> None:
    source = replacement["source"]
    (found,) = (d for d in documents if (d["kind"], d["metadata"]["name"]) == (source["kind"], source["name"]))
    ((parent, last),) = _parents(found, source["fieldPath"].split("."))
    value = parent[last]
    for target in replacement["targets"]:
        hit = [document for document in documents if document["kind"] == target["select"]["kind"]]
        assert hit, f"{target} matches nothing"
        delimiter, index = target["options"]["delimiter"], target["options"]["index"]
        for document in hit:
            for path in target["fieldPaths"]:
                for parent, last in _parents(document, path.split(".")):
                    parts = parent[last].split(delimiter)
                    parts[index] = value
                    parent[last] = delimiter.join(parts)


def _parents(value: Any, way: list[str]) -> list[tuple[Any, str]]:
    """Return the objects that have the last name of a path. ``*``: every entry; ``[name=x]``: one with this field."""
    parents = [value]
    for part in way[:-1]:
        if part == "*":
            parents = [entry for parent in parents for entry in parent]
        elif named := re.fullmatch(r"\[(\w+)=(.+)\]", part):
            parents = [entry for parent in parents for entry in parent if entry[named[1]] == named[2]]
        else:
            parents = [parent[part] for parent in parents]
    return [(parent, way[-1]) for parent in parents]


def merged(below: Any, above: Any) -> Any:
    """Merge strategically: maps by key, lists of named objects by name with the patch's own first; replace all else."""
    if isinstance(below, dict) and isinstance(above, dict):
        return {**below, **{name: merged(below.get(name), value) for name, value in above.items()}}
    if _named(below) and _named(above):
        known = {entry["name"]: entry for entry in below}
        laid = [merged(known.pop(entry["name"], None), entry) for entry in above]
        return [*laid, *known.values()]
    return deepcopy(above)


def _named(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(e, dict) and "name" in e for e in value)


def _label(documents: list[Document], label: Document) -> None:
    assert set(label) <= {"pairs", "includeTemplates"}, label
    for document in documents:
        document["metadata"].setdefault("labels", {}).update(label["pairs"])
        if label.get("includeTemplates") and "template" in document.get("spec", {}):
            document["spec"]["template"]["metadata"]["labels"].update(label["pairs"])


def _name_image(documents: list[Document], image: Document) -> None:
    for document in documents:
        for container in document.get("spec", {}).get("template", {}).get("spec", {}).get("containers", []):
            if container["image"] == image["name"]:
                container["image"] = f"{image['newName']}:{image['newTag']}"
