"""Functions that read fields of a rendering of the chart."""

from collections.abc import Callable
from typing import Any

from tests.support.helm import Rendering, Values
from tests.support.manifests import DEPLOYMENTS

#: Values, what is read of the rendering, and the value that is expected.
Case = tuple[Values, Callable[[Rendering], Any], Any]


def pods(rendering: Rendering) -> dict[str, Any]:
    return {name: rendering.find("Deployment", name)["spec"]["template"] for name in DEPLOYMENTS}


def of_every_pod(read: Callable[[Any], Any]) -> Callable[[Rendering], dict[str, Any]]:
    return lambda rendering: {name: read(pod) for name, pod in pods(rendering).items()}


def same(value: Any) -> dict[str, Any]:
    return dict.fromkeys(DEPLOYMENTS, value)


def at(kind: str, name: str, *path: str | int) -> Callable[[Rendering], Any]:
    """Return a function that reads one field of one object."""

    def read(rendering: Rendering) -> Any:
        found: Any = rendering.find(kind, name)
        for part in path:
            found = found[part] if isinstance(part, int) else found.get(part)
        return found

    return read


def names(kind: str) -> Callable[[Rendering], set[str]]:
    return lambda rendering: rendering.names(kind)


def spec(name: str) -> Callable[[Any], Any]:
    return lambda pod: pod["spec"].get(name)
