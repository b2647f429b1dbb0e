"""The shipped Dockerfile and compose file, run by a container engine: rights, a video, metrics, kills and stops."""

import base64
import io
import json
from urllib.parse import quote

import av
import pytest

from service.build_info import version
from tests.e2e.conftest import SAMPLES
from tests.image import images
from tests.image.engine import ROOT, Engine
from tests.image.stack import CONTAINERS, WORKERS, Stack, name_of

#: Above the base image. PyAV is 104 MB of it (decision 35); the largest packages are in the summary of the run.
LARGEST_GATEWAY_MB = 290
PROBE = "import pathlib; pathlib.Path('/written').write_text('x')"
#: Long enough for a kill while it runs, except on a very busy machine.
LONG = "sandbox:no-video sandbox:seconds=5"


def test_gateway_image_is_small_and_runs_without_root(engine: Engine) -> None:
    parts = dict(images.parts(engine))
    assert parts["gateway, above the base"] < LARGEST_GATEWAY_MB
    for image in (images.GATEWAY, images.SANDBOX):
        assert engine.podman("image", "inspect", "--format", "{{.User}}", image) == "10001"


def test_packages_are_those_of_the_lock(stack: Stack) -> None:
    code = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    installed = {
        name.lower().replace("_", "-"): version
        for name, version in json.loads(stack.execute("gateway", "python", "-c", code)).items()
    }
    locked = dict(
        line.split(" ", 1)[0].split("==")
        for line in (ROOT / "requirements.lock").read_text().splitlines()
        if "==" in line and not line.startswith((" ", "#"))
    )
    assert installed.pop("seedance-gateway") == version()
    assert {name: locked.get(name) for name in installed} == installed


def test_images_have_no_build_tools_and_no_sources(stack: Stack) -> None:
    for container in ("gateway", "sandbox"):
        programs = set(stack.execute(container, "ls", "/opt/gateway/bin").split())
        assert "python" in programs
        assert programs & {"pip", "pip3", "gcc", "hatchling", "wheel"} == set()
        assert stack.execute(container, "sh", "-c", "ls -d /src 2>/dev/null || true") == ""


def test_documents_are_in_the_installed_package(stack: Stack) -> None:
    code = "import pathlib, service; print((pathlib.Path(service.__file__).parent / 'documents/runbook.md').exists())"
    assert stack.execute("gateway", "python", "-c", code).strip() == "True"


@pytest.mark.parametrize("container", CONTAINERS)
def test_container_has_the_rights_of_compose_only(stack: Stack, container: str) -> None:
    lines = stack.execute(container, "cat", "/proc/1/status").splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert {status[name].strip() for name in ("CapPrm", "CapEff", "CapBnd")} == {"0000000000000000"}
    assert status["NoNewPrivs"] == "1"
    assert "0" not in status["Uid"].split()
    refused = stack.engine.try_podman("exec", "--user=0", name_of(container), "python", "-c", PROBE)
    assert "Read-only file system" in refused.stderr


def test_video_is_made_and_downloaded(stack: Stack) -> None:
    """The command line in a container: upload, create, wait, download."""
    photo = base64.b64encode((SAMPLES / "rocket.jpg").read_bytes()).decode()
    stack.execute("client", "sh", "-c", "base64 -d > /tmp/rocket.jpg", text=photo)
    variables = {"SEEDANCE_GATEWAY_URL": "http://gateway:8080", "SEEDANCE_GATEWAY_KEY": stack.key}
    command = ["generate", "/tmp/rocket.jpg", "The rocket lifts off", "--duration", "4", "--output", "/tmp/video.mp4"]
    stack.execute("client", "seedance-gateway", *command, **variables)

    video = base64.b64decode(stack.execute("client", "base64", "/tmp/video.mp4"))
    with av.open(io.BytesIO(video)) as opened:
        assert "mp4" in opened.format.name
        assert opened.streams.video[0].frames > 0


def test_doctor_warns_of_the_missing_tls_only(stack: Stack) -> None:
    """compose.yaml sets a public URL inside the network, without TLS. No operator exists yet."""

    def warnings() -> dict[str, str]:
        found = json.loads(stack.execute("gateway", "seedance-gateway", "doctor", "--json"))["findings"]
        assert len(found) > 10
        return {finding["check"]: finding["status"] for finding in found if finding["status"] != "ok"}

    stack.wait_until(lambda: warnings() == {"operators": "warn", "public URL": "warn"}, "gateway")


def test_prometheus_scrapes_every_process(stack: Stack) -> None:
    wanted = {"gateway": 1, "worker": len(WORKERS), "beat": 1}

    def scraped(expression: str) -> dict[str, int]:
        _, answer = stack.request(f"http://prometheus:9090/api/v1/query?query={quote(expression)}")
        return {row["metric"]["job"]: int(row["value"][1]) for row in answer["data"]["result"]}

    stack.wait_until(lambda: scraped("count by (job) (up == 1)") == wanted, "prometheus")
    named = f'count by (job) (gateway_build_info{{commit="{images.COMMIT}"}})'
    stack.wait_until(lambda: scraped(named).get("worker") == len(WORKERS), "prometheus")
    assert "Error on ingesting" not in stack.log("prometheus")


@pytest.mark.parametrize("container", [name for name in CONTAINERS if name != "sandbox"])
def test_killed_container_restarts_and_work_continues(stack: Stack, container: str) -> None:
    accepted = stack.create(LONG)
    stack.wait_until(lambda: stack.status(accepted) != "queued", "gateway")
    stack.kill(container)
    stack.wait_for(accepted, "succeeded")
    stack.wait_for(stack.create("sandbox:no-video"), "succeeded")


def test_killed_sandbox_restarts_and_new_work_ends(stack: Stack) -> None:
    """The sandbox stores nothing: jobs that it had are lost."""
    stack.kill("sandbox")
    stack.wait_for(stack.create("sandbox:no-video"), "succeeded")


@pytest.mark.parametrize("container", ["gateway", "beat", *WORKERS, "prometheus", "sandbox", "redis"])
def test_container_stops_within_its_grace(stack: Stack, container: str) -> None:
    """The last tests: Redis ends when no process of the gateway runs."""
    seconds, exit_code = stack.stop(container)
    assert exit_code in (0, 143), stack.log(container)
    assert seconds < stack.service(container).stop_seconds
