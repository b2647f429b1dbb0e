"""``deploy/compose.yaml`` as arguments of ``podman run``. A setting that is not translated here fails the test."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.image.engine import PREFIX, ROOT

DEPLOY: Final = ROOT / "deploy"
#: Read by other code of the test, or of no use to it: ports are published by nothing, containers talk to each other.
_NOT_ARGUMENTS: Final = {"build", "image", "command", "healthcheck", "depends_on", "ports"}


@dataclass(frozen=True)
class Service:
    """One service: the arguments that carry its settings, and what the test needs of the rest."""

    name: str
    arguments: tuple[str, ...]
    command: tuple[str, ...]
    #: Empty: the image has it, or there is none.
    healthcheck: tuple[str, ...]
    stop_seconds: int


def services(variables: Mapping[str, str], folder: Path) -> dict[str, Service]:
    """Read the file with these variables of its user, and the file of settings (``env_file``) in ``folder``.

    The contents of ``configs`` are written into ``folder`` too.
    """
    compose = yaml.safe_load(interpolate((DEPLOY / "compose.yaml").read_text(), variables))
    for name, config in compose["configs"].items():
        (folder / name).write_text(config["content"])
        (folder / name).chmod(0o444)
    return {name: _service(name, settings, folder) for name, settings in compose["services"].items()}


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """Replace ``${NAME:-default}`` and ``${NAME:?message}``."""

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        assert name in variables or kind == "-", f"{name}: {rest}"
        return variables.get(name, rest)

    return re.sub(r"\$\{(\w+):([-?])([^}]*)\}", value, text)


def _service(name: str, settings: dict[str, Any], folder: Path) -> Service:
    arguments: list[str] = []
    for key, value in settings.items():
        if key not in _NOT_ARGUMENTS:
            arguments += _ARGUMENTS[key](value, folder)
    return Service(
        name=name,
        arguments=tuple(arguments),
        command=tuple(settings.get("command", ())),
        healthcheck=_in_container(settings.get("healthcheck", {}).get("test", [])),
        stop_seconds=int(settings.get("stop_grace_period", "10s").removesuffix("s")),
    )


def _in_container(test: list[str]) -> tuple[str, ...]:
    """Return a healthcheck in the notation of compose as a command."""
    if not test:
        return ()
    kind, *words = test
    return ("sh", "-c", *words) if kind == "CMD-SHELL" else tuple(words)


def _volume(volume: str) -> str:
    """A folder of ``deploy``, a named volume with a name of this clone, or an unnamed one."""
    source, colon, target = volume.partition(":")
    if not colon:
        return source
    return f"{DEPLOY / source}:{target}" if source.startswith(".") else f"{PREFIX}-{source}:{target}"


_ARGUMENTS: Final[dict[str, Any]] = {
    # Docker adds no memory file system to a read-only container; podman does unless it is asked not to.
    "read_only": lambda on, _: ["--read-only", "--read-only-tmpfs=false"] if on else [],
    "cap_drop": lambda names, _: [f"--cap-drop={name}" for name in names],
    "security_opt": lambda options, _: [f"--security-opt={option.replace(':true', '')}" for option in options],
    "restart": lambda policy, _: [f"--restart={policy}"],
    "user": lambda user, _: [f"--user={user}"],
    "mem_limit": lambda limit, _: [f"--memory={limit}"],
    "tmpfs": lambda paths, _: [f"--tmpfs={path}" for path in paths],
    "env_file": lambda files, folder: [f"--env-file={folder / file['path']}" for file in files],
    "environment": lambda variables, _: [f"--env={name}={value}" for name, value in variables.items()],
    "volumes": lambda volumes, _: [f"--volume={_volume(volume)}" for volume in volumes],
    "configs": lambda configs, folder: [f"--volume={folder / c['source']}:{c['target']}:ro" for c in configs],
    "stop_grace_period": lambda seconds, _: [f"--stop-timeout={seconds.removesuffix('s')}"],
}
