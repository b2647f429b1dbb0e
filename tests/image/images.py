"""The images of the test: a base made by debootstrap, the Dockerfile's two stages, Debian's Redis and Prometheus."""

import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.image.engine import BUILD, ROOT, Engine
from tests.support.dockerfile import instructions

BASE: Final = "localhost/base"
GATEWAY: Final = "localhost/gateway"
SANDBOX: Final = "localhost/sandbox"
COMMIT: Final = "image-test"
#: Stands in for the images of Redis and Prometheus: the same programs, from Debian.
SERVERS: Final = "localhost/servers"

_RELEASE: Final = "trixie"
_PACKAGES: Final = "python3,python3-venv,python3-pip,ca-certificates"
#: Not in the published base image either.
_LEFT_OUT: Final = ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale", "usr/share/man")
#: The published images own these folders as these users, and a new volume gets the owner of its folder.
_SERVERS: Final = f"""
FROM {BASE}
RUN apt-get update -qq \\
    && apt-get install -y -qq -o Dpkg::Options::=--force-unsafe-io --no-install-recommends redis-server prometheus \\
    && rm -r /etc/redis /etc/prometheus \\
    && install -d -o 999 -g 1000 /data && install -d -o 65534 -g 65534 /prometheus
"""
_CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
#: What pip needs to know about this machine's index. An image never contains any of it.
_INDEX: Final = ("index-url", "extra-index-url", "trusted-host", "timeout", "proxy")


def build(engine: Engine) -> None:
    """Make all images. The two stages share the steps that they have in common."""
    make_base(engine)
    with ThreadPoolExecutor() as pool:
        servers = pool.submit(_build_servers, engine)
        for stage, name in (("gateway", GATEWAY), ("sandbox", SANDBOX)):
            build_stage(engine, stage, name)
        servers.result()


def make_base(engine: Engine) -> None:
    """Import the base image. Its archive is made once in a clone."""
    archive = BUILD / f"base-{_RELEASE}.tar"
    if not archive.exists():
        folder = BUILD / "work/base"
        folder.mkdir(parents=True)
        command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", _RELEASE, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"debootstrap failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        _make_like_python_image(folder)
        subprocess.run(["tar", "-C", folder, "-cf", archive.with_suffix(".part"), "."], check=True)
        shutil.rmtree(folder)
        archive.with_suffix(".part").rename(archive)
    engine.podman("import", "--quiet", archive, BASE)


def _make_like_python_image(folder: Path) -> None:
    """Let pip install into the system, and name the program ``python``, as the image of the Dockerfile does."""
    for path in folder.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        path.unlink()
    (folder / "usr/bin/python").symlink_to("python3")
    for name in _LEFT_OUT:
        shutil.rmtree(folder / name)
        (folder / name).mkdir(parents=True)


def build_stage(engine: Engine, stage: str, name: str) -> None:
    """Build a stage of the unchanged Dockerfile, with the base instead of the images that it names."""
    variables = pip_variables()
    # buildah puts each variable into the image, and takes it out at the end.
    passed = [part for variable in variables for part in (f"--env={variable}", f"--unsetenv={variable}")]
    given = [*base_arguments(), *passed, f"--build-arg=COMMIT={COMMIT}", "--target", stage, "--tag", name]
    engine.buildah(*_BUD, *given, "--file", ROOT / "Dockerfile", ROOT, **variables)


#: Layers are a cache for the second stage. The docker format alone has a HEALTHCHECK.
_BUD: Final = (
    "bud", "--layers", "--format", "docker", "--isolation", "chroot", "--network", "host", "--pull-never",
    *(("--volume", f"{_CERTIFICATES}:{_CERTIFICATES}:ro") if _CERTIFICATES.exists() else ()),
)  # fmt: skip


def _build_servers(engine: Engine) -> None:
    folder = BUILD / "work/servers"
    folder.mkdir(parents=True)
    (folder / "Dockerfile").write_text(_SERVERS)
    engine.buildah(*_BUD, "--tag", SERVERS, folder)


def base_arguments() -> set[str]:
    """Return the arguments that replace the Dockerfile's base: its argument, or the image that it names."""
    stages: set[str] = set()
    found: set[str] = set()
    for instruction, rest in instructions((ROOT / "Dockerfile").read_text()):
        if instruction == "FROM":
            image, _, stage = rest.partition(" AS ")
            named = re.fullmatch(r"\$\{?(\w+)\}?", image)
            if named:
                found.add(f"--build-arg={named[1]}={BASE}")
            elif image not in stages:
                found.add(f"--build-context={image}=container-image://{BASE}")
            stages.add(stage)
    return found


def pip_variables() -> dict[str, str]:
    """Return the index settings of this machine's pip as variables, from its files and its environment."""
    listing = subprocess.run(["python3", "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    found = re.findall(r"^(?:global|:env:)\.([\w-]+)='(.*)'$", listing.stdout, re.MULTILINE)
    variables = {f"PIP_{key.replace('-', '_').upper()}": value for key, value in found if key in _INDEX}
    # A folder of this machine is not in the image.
    kept = {
        name: " ".join(part for part in value.split() if not part.startswith(("file:", "/")))
        for name, value in variables.items()
    }
    return {name: value for name, value in kept.items() if value} | {"PIP_CERT": os.fspath(_CERTIFICATES)}


def parts(engine: Engine) -> list[tuple[str, float]]:
    """Return the parts of the images in MB: the base, the gateway, its ten largest packages, the sandbox's extra."""
    base, gateway, sandbox = (_size(engine, name) for name in (BASE, GATEWAY, SANDBOX))
    packages = _packages(engine)
    return [
        ("base image of the test", base),
        ("gateway, above the base", gateway - base),
        *[(f"  {name}", size) for name, size in packages[:10]],
        ("  other packages", sum(size for _, size in packages[10:])),
        ("sandbox, above the gateway", sandbox - gateway),
    ]


def _size(engine: Engine, image: str) -> float:
    return int(engine.podman("image", "inspect", "--format", "{{.Size}}", image)) / 1e6


#: Prints the size of each distribution: its files as its RECORD lists them, bytecode included.
_MEASURE: Final = """
import importlib.metadata as metadata
for d in metadata.distributions():
    sizes = (f.locate().stat().st_size for f in d.files or () if f.locate().is_file())
    print(d.name, sum(sizes))
"""


def _packages(engine: Engine) -> list[tuple[str, float]]:
    printed = engine.podman("run", "--rm", "--network", "none", "--entrypoint", "python", GATEWAY, "-c", _MEASURE)
    sizes = (line.split() for line in printed.splitlines())
    return sorted(((name, int(size) / 1e6) for name, size in sizes), key=lambda row: -row[1])
