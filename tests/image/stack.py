"""The services of ``deploy/compose.yaml`` as containers on one internal network, and a client container among them."""

import json
import os
import secrets
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any, Final

from service.tasks import QUEUES
from tests.image import images
from tests.image.compose import Service, services
from tests.image.engine import BUILD, PREFIX, Engine

#: A worker for each queue, as in Kubernetes. All are found under the name of the service.
WORKERS: Final = {f"worker-{queue}": queue for queue in QUEUES}
#: In the order of their start. Grafana is in no package of Debian.
CONTAINERS: Final = ("redis", "sandbox", "gateway", *WORKERS, "beat", "prometheus")
_IMAGES: Final = {"sandbox": images.SANDBOX, "redis": images.SERVERS, "prometheus": images.SERVERS}
#: What the published images have and Debian's packages do not.
_OF_IMAGE: Final = {"redis": ["--workdir=/data"], "prometheus": ["--workdir=/prometheus", "--entrypoint=prometheus"]}
#: Without a budget, ``doctor`` warns.
_SETTINGS: Final = "GATEWAY_ACCOUNT_DAILY_BUDGET_USD=1000\n"
_WITHIN: Final = 180.0

_FETCH: Final = """
import json, sys, urllib.error, urllib.request
given = json.load(sys.stdin)
request = urllib.request.Request(given["url"], method=given["method"], headers=given["headers"])
if given["body"] is not None:
    request.data = json.dumps(given["body"]).encode()
    request.add_header("Content-Type", "application/json")
try:
    with urllib.request.urlopen(request, timeout=60) as answer:
        print(json.dumps([answer.status, answer.read().decode()]))
except urllib.error.HTTPError as error:
    print(json.dumps([error.code, error.read().decode()]))
"""


class Stack:
    """All containers of one run. The names of the services resolve in all of them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.folder = BUILD / "work/stack"
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "gateway.env").write_text(_SETTINGS)
        names = ("GATEWAY_SECRET_KEY", "GATEWAY_ADMIN_TOKEN", "REDIS_PASSWORD", "GRAFANA_PASSWORD")
        self.services = services({name: secrets.token_hex(32) for name in names}, self.folder)

    def service(self, container: str) -> Service:
        return self.services["worker" if container in WORKERS else container]

    def start(self) -> None:
        """Start all containers and wait until their healthchecks succeed."""
        self.engine.podman("network", "create", "--internal", PREFIX)
        for container in CONTAINERS:
            self._run(container)
            if container == "redis":
                self.wait_until_healthy(container)
        sleep = ["--read-only", "--tmpfs=/tmp", "--entrypoint=sleep"]
        self._podman_run("client", sleep, images.GATEWAY, ["infinity"])
        for container in CONTAINERS:
            self.wait_until_healthy(container)

    def _run(self, container: str) -> None:
        service = self.service(container)
        queue = ["--queues", WORKERS[container]] if container in WORKERS else []
        arguments = [*service.arguments, f"--network-alias={service.name}", *_OF_IMAGE.get(container, [])]
        self._podman_run(container, arguments, _IMAGES.get(container, images.GATEWAY), [*service.command, *queue])

    def _podman_run(self, container: str, arguments: list[str], image: str, command: list[str]) -> None:
        own = ["--name", name_of(container), "--network", PREFIX, "--no-healthcheck", "--pull=never"]
        self.engine.podman("run", "--detach", *own, *arguments, image, *command)

    def inspect(self, container: str) -> Any:
        return json.loads(self.engine.podman("container", "inspect", name_of(container)))[0]

    def process(self, container: str) -> int:
        """Return the process of the container on this machine, 0 if it does not run."""
        return int(self.inspect(container)["State"]["Pid"])

    def execute(self, container: str, *command: str, text: str = "", **environment: str) -> str:
        """Run a command in a running container, and return its standard output. It must end with 0."""
        variables = [f"--env={name}={value}" for name, value in environment.items()]
        done = self.engine.try_podman("exec", "-i", *variables, name_of(container), *command, text=text)
        assert done.returncode == 0, f"{container}: {command}\n{done.stdout}{done.stderr}\n{self.log(container)}"
        return done.stdout

    def log(self, container: str) -> str:
        done = self.engine.try_podman("logs", "--tail", "30", name_of(container))
        return done.stdout + done.stderr

    def is_healthy(self, container: str) -> bool:
        """Run the healthcheck of compose, or else of the image, as an engine does."""
        check = self.service(container).healthcheck or self._healthcheck_of_image(container)
        return self.engine.try_podman("exec", name_of(container), *(check or ["true"])).returncode == 0

    def _healthcheck_of_image(self, container: str) -> list[str]:
        if container != "gateway":
            return []
        image = json.loads(self.engine.podman("image", "inspect", images.GATEWAY))[0]
        kind, *command = image["Healthcheck"]["Test"]
        assert kind == "CMD"
        return list(command)

    def wait_until_healthy(self, container: str) -> None:
        self.wait_until(lambda: self.is_healthy(container), container)

    def wait_until(self, condition: Callable[[], bool], container: str) -> None:
        """Wait. A failure shows the end of the container's log."""
        give_up = time.monotonic() + _WITHIN
        while not condition():
            assert time.monotonic() < give_up, f"{container}: not within {_WITHIN:.0f} s\n{self.log(container)}"
            time.sleep(0.2)

    def request(self, url: str, *, method: str = "GET", body: Any = None, key: str = "") -> tuple[int, Any]:
        """Send a request from the client container. Return status and JSON."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        given = json.dumps({"url": url, "method": method, "headers": headers, "body": body})
        status, answer = json.loads(self.execute("client", "python", "-c", _FETCH, text=given))
        return status, json.loads(answer)

    @cached_property
    def key(self) -> str:
        """The API key of a new tenant."""
        tenant = json.loads(self.execute("gateway", "seedance-gateway", "tenants", "create", "Shop"))
        return str(json.loads(self.execute("gateway", "seedance-gateway", "keys", "create", tenant["id"]))["key"])

    def create(self, prompt: str) -> str:
        """Accept a generation. Return its id."""
        body = {"prompt": prompt, "image_url": "https://v3b.fal.media/a.jpg", "duration": 4, "resolution": "480p"}
        status, made = self.request("http://gateway:8080/v1/generations", method="POST", body=body, key=self.key)
        assert status == 202, made
        return str(made["id"])

    def status(self, generation: str) -> str:
        status, found = self.request(f"http://gateway:8080/v1/generations/{generation}", key=self.key)
        assert status == 200, found
        return str(found["status"])

    def wait_for(self, generation: str, wanted: str) -> None:
        self.wait_until(lambda: self.status(generation) == wanted, "gateway")

    def kill(self, container: str) -> None:
        """End the process as the kernel would, so that the restart policy of compose starts the next one."""
        killed = self.process(container)
        os.kill(killed, 9)
        self.wait_until(lambda: self.process(container) not in (0, killed), container)
        self.wait_until_healthy(container)

    def stop(self, container: str) -> tuple[float, int]:
        """Send SIGTERM and wait for the end. Return its seconds and the exit code; 137 is that of a killed process."""
        before = time.monotonic()
        self.engine.podman("stop", name_of(container))
        return time.monotonic() - before, int(self.inspect(container)["State"]["ExitCode"])


def name_of(container: str) -> str:
    return f"{PREFIX}-{container}"
