"""Podman and Buildah with storage, network and names of this clone alone.

No container, image, network or lock of the machine's other users is seen or changed. Networks are internal: no rule of
a firewall is added, and a container reaches the other containers only.
"""

import fcntl
import hashlib
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
#: Images and volumes, for one run.
BUILD: Final = ROOT / "build/image-test"
#: The names of containers and networks begin with it. Two clones on a machine have different ones.
PREFIX: Final = f"seedance-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]}"
#: Sockets and the state of running containers. Podman allows 50 characters, and a clone's path may be longer.
RUN: Final = Path("/run") / PREFIX
PACKAGES: Final = {
    "buildah": "buildah",
    "podman": "podman",
    "runc": "runc",
    "debootstrap": "debootstrap",
    "iptables": "iptables",  # netavark starts it before it reads that a network needs no rule
    "/usr/lib/podman/netavark": "netavark",
    "/usr/lib/podman/aardvark-dns": "aardvark-dns",
}
#: Otherwise podman raises the limits beyond those of this process, which not every root may do.
_OPEN_FILES: Final = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 16_384)
_CONFIGURATION: Final = f"""
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
runtime = "runc"
tmp_dir = "{RUN}/libpod"
[containers]
log_driver = "k8s-file"
default_ulimits = ["nproc=4096:4096", "nofile={_OPEN_FILES}:{_OPEN_FILES}"]
[network]
network_backend = "netavark"
network_config_dir = "{BUILD}/networks"
"""
#: Written by netavark when it makes the first network of the machine.
_FORWARDING: Final = Path("/proc/sys/net/ipv4/ip_forward")
_LONGEST: Final = 900


class CannotRun(Exception):
    """This machine lacks what the image test needs. The message names it in one line."""


def check_machine() -> None:
    """Raise CannotRun for the first missing right or program."""
    if os.geteuid() != 0:
        raise CannotRun("make image-test needs root: it makes a base image, mounts and networks.")
    missing = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    if missing:
        names = " ".join(missing)
        raise CannotRun(f"make image-test needs these packages (Debian, Ubuntu: apt-get install {names}).")


class Engine:
    """Runs ``podman`` and ``buildah``. ``clean`` removes all that they made, also what an interrupted run left."""

    def __init__(self) -> None:
        check_machine()
        BUILD.mkdir(parents=True, exist_ok=True)
        self._lock = (BUILD / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotRun("another make image-test runs in this folder.") from None
        self._forwarding = _FORWARDING.read_text()
        self.clean()
        RUN.mkdir(mode=0o700)
        (BUILD / "containers.conf").write_text(_CONFIGURATION)

    def buildah(self, *arguments: str | Path, **environment: str) -> str:
        return self._run("buildah", *arguments, **environment)

    def podman(self, *arguments: str | Path, **environment: str) -> str:
        return self._run("podman", *arguments, **environment)

    def try_podman(self, *arguments: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
        """Return the result of a command that may fail; ``text`` is its standard input."""
        return subprocess.run(
            self._command("podman", *arguments),
            env=self._environment(),
            input=text,
            capture_output=True,
            text=True,
            timeout=_LONGEST,
            check=False,
        )

    def close(self) -> None:
        self.clean()
        _FORWARDING.write_text(self._forwarding)
        self._lock.close()

    def clean(self) -> None:
        """Remove containers, the network, mounts and the storage. The base image's archive stays, for the next run."""
        if (BUILD / "containers.conf").exists():
            for arguments in (["rm", "--all", "--force", "--time", "0"], ["network", "rm", "--force", PREFIX]):
                self.try_podman(*arguments)
        for mount in reversed(_mounts_below(BUILD, RUN)):
            subprocess.run(["umount", "--lazy", mount], check=False)
        for path in (RUN, BUILD / "storage", BUILD / "networks", BUILD / "work"):
            shutil.rmtree(path, ignore_errors=True)

    def _run(self, program: str, *arguments: str | Path, **environment: str) -> str:
        done = subprocess.run(
            self._command(program, *arguments),
            env={**self._environment(), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LONGEST,
            check=False,
        )
        assert done.returncode == 0, (
            f"{program} {' '.join(map(str, arguments))}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        )
        return done.stdout.strip()

    @staticmethod
    def _command(program: str, *arguments: str | Path) -> list[str | Path]:
        return [program, "--root", BUILD / "storage", "--runroot", RUN, *arguments]

    @staticmethod
    def _environment() -> dict[str, str]:
        return {**os.environ, "CONTAINERS_CONF": str(BUILD / "containers.conf")}


def _mounts_below(*folders: Path) -> list[str]:
    points = (line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return [point for point in points if any(Path(point).is_relative_to(folder) for folder in folders)]


if __name__ == "__main__":  # what a run left that was ended
    try:
        Engine().close()
    except CannotRun as error:
        sys.exit(str(error))
