"""A whole stack on one machine: Redis, sandbox, gateway, worker and beat, each a process."""

import asyncio
import json
import os
import secrets
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Self

import httpx
from pydantic import SecretStr

from service.cli.dev.child_processes import Child, PortTaken, accepts, free_port, interrupts_deferred
from service.cli.dev.embedded_redis import EmbeddedRedis
from service.cli.ops.console import login_link
from service.cli.ops.session import local_user
from service.config.settings import PREFIX, Settings
from service.domain.actor import Actor, ActorKind
from service.domain.operator import Role
from service.observability import log
from service.runtime import open_runtime

LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
_TENANT: Final = "development"
_TLS_KEY: Final = "certificate-key.pem"


@dataclass
class Stack:
    """A stack. ``end`` may be called at any time. The children end with this process, however it ends."""

    data: Path | None = None
    port: int | None = None
    worker: bool = True
    sandbox_speed: float = 20.0
    overrides: dict[str, Any] = field(default_factory=dict)
    redis_options: dict[str, str] = field(default_factory=dict)
    """Settings of Redis that replace those of a development stack."""
    tls: bool = False
    """Serve HTTPS with a self-signed certificate."""
    gateway_module: str = "service.cli"
    worker_app: str = "workers"
    redis: EmbeddedRedis = field(init=False)
    settings: Settings = field(init=False)
    sandbox_url: str = field(init=False, default="")
    api_key: str = field(init=False, default="")
    tenant_id: str = field(init=False, default="")
    webhook_secret: str = field(init=False, default="")
    login_url: str = field(init=False, default="")
    """A link that logs in to the console once."""
    children: dict[str, Child] = field(init=False, default_factory=dict)

    def start(self) -> Self:
        self._temporary = None
        try:
            with interrupts_deferred():
                if self.data is None:
                    self._temporary = tempfile.TemporaryDirectory(
                        prefix="seedance-gateway-", ignore_cleanup_errors=True
                    )
            self.folder = Path(self._temporary.name) if self._temporary else self.data or Path()
            self.folder.mkdir(parents=True, exist_ok=True)
            self._start()
        except BaseException:
            self.end()
            raise
        return self

    def _start(self) -> None:
        if self.port and accepts(self.port):  # otherwise the other program would answer in place of the gateway
            raise PortTaken(self.port)
        self.redis = EmbeddedRedis(self.folder, options=self.redis_options)
        self.redis.start()
        if self.tls:
            self._write_certificate()
        self._start_sandbox()
        self.port = self.port or free_port()
        self._gateway_metrics_port = free_port()
        self.settings = self._settings()
        # Logs go to stderr; stdout has only the first line.
        log.configure(self.settings.log_level, secrets=self.settings.secrets(), log_format=self.settings.log_format)
        asyncio.run(self._create_tenant())
        ready = [self._launch_gateway()]  # the processes start at the same time
        if self.worker:
            ready.append(self._launch_worker())
            self.start_beat()
        for wait in ready:
            wait()

    @property
    def base_url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def metrics_url(self) -> str:
        """URL of the gateway's metrics."""
        return f"http://127.0.0.1:{self._gateway_metrics_port}/metrics"

    @property
    def certificate(self) -> Path:
        """PEM file that clients must trust, of a stack with TLS."""
        return self.folder / "tls" / "certificate.pem"

    @property
    def environment(self) -> dict[str, str]:
        """Variables with the settings of this stack, for another process."""
        return self.settings.environment()

    def describe(self) -> dict[str, Any]:
        """Return addresses, ids and secrets, as printed by ``up``."""
        token = self.settings.admin_token
        return {
            "base_url": self.base_url,
            "api_key": self.api_key,
            "admin_token": "" if token is None else token.get_secret_value(),
            "tenant_id": self.tenant_id,
            "webhook_secret": self.webhook_secret,
            "console_url": f"{self.base_url}/console",
            "login_url": self.login_url,
            "sandbox_url": self.sandbox_url,
            "redis_url": self.redis.url,
            "metrics_url": self.metrics_url,
            "env": self.environment,
            **({"certificate": str(self.certificate)} if self.tls else {}),
        }

    def start_gateway(self) -> None:
        self._launch_gateway()()

    def start_worker(self) -> None:
        self._launch_worker()()

    def start_beat(self) -> None:
        command = ["-m", "celery", "--quiet", "-A", "workers", "beat"]
        self._python("beat", *command, metrics_port=0)  # the worker uses the port

    def _launch_gateway(self) -> Callable[[], None]:
        """Start the process. Return a function that waits until it is ready."""
        options, verify = [], None
        if self.tls:
            options = ["--certificate", self.certificate, "--certificate-key", self.certificate.with_name(_TLS_KEY)]
            verify = ssl.create_default_context(cafile=str(self.certificate))
        command = ["-m", self.gateway_module, "serve", "--port", str(self.port), *map(str, options)]
        child = self._python("gateway", *command, metrics_port=self._gateway_metrics_port)
        return partial(child.wait_until, lambda: accepts(self.port or 0) and self._is_ready(verify))

    def _launch_worker(self) -> Callable[[], None]:
        """Start the process. Return a function that waits until it is ready."""
        ready = self.folder / "worker.log"
        before = ready.stat().st_size if ready.exists() else 0
        command = ["-m", "celery", "--quiet", "-A", self.worker_app, "worker", "--without-gossip", "--without-mingle"]
        child = self._python("worker", *command)
        return partial(child.wait_until, lambda: b" ready" in ready.read_bytes()[before:])

    def end(self) -> None:
        """End the children: first those that create work, Redis last."""
        for name in ("beat", "gateway", "worker", "sandbox"):
            if name in self.children:
                self.children[name].end()
                del self.children[name]  # after the end: an interrupt before it must find the child here
        if hasattr(self, "redis"):
            self.redis.end()
        if getattr(self, "_temporary", None) is not None:
            self._temporary.cleanup()  # type: ignore[union-attr]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.end()

    def _is_ready(self, verify: ssl.SSLContext | None) -> bool:
        return httpx.get(f"{self.base_url}/readyz", trust_env=False, verify=verify or False).is_success

    def _write_certificate(self) -> None:
        """Write the certificate in another process: the service does not import the sandbox."""
        write = "import pathlib, sys; from sandbox.certificate import write_certificate as write; "
        folder = str(self.certificate.parent)
        subprocess.run([sys.executable, "-c", f"{write}write(pathlib.Path(sys.argv[1]))", folder], check=True)  # noqa: S603

    def _start_sandbox(self) -> None:
        stored = self.folder / "sandbox"
        stored.mkdir(exist_ok=True)
        with interrupts_deferred():
            self.children["sandbox"] = Child(
                "sandbox",
                [sys.executable, "-m", "sandbox", "--port", "0", "--data", str(stored)],
                log=self.folder / "sandbox.log",
                environment={
                    "SANDBOX_SPEED": str(self.sandbox_speed),
                    "SANDBOX_MODELS_FILES": json.dumps(self._models_files()),
                    # for callbacks to the gateway
                    **({"SSL_CERT_FILE": str(self.certificate)} if self.tls else {}),
                },
                stdout=subprocess.PIPE,
            )
        self.sandbox_url = json.loads(self.children["sandbox"].first_line())["url"]

    def _models_files(self) -> list[str]:
        """Return the files of models that the gateway reads: the sandbox serves the models that it does not know."""
        own = self.overrides.get("models_file") or os.environ.get(f"{PREFIX}MODELS_FILE")
        return [str(files("service.domain.models")), *([str(own)] if own else [])]

    def _settings(self) -> Settings:
        settings: dict[str, Any] = {
            "redis_url": self.redis.url,
            "fal_key": SecretStr("sandbox:sandbox"),
            "fal_queue_url": f"{self.sandbox_url}/queue",
            "fal_rest_url": f"{self.sandbox_url}/rest",
            "public_url": self.base_url,
            "fal_api_url": f"{self.sandbox_url}/api/v1",
            "fal_site_url": self.sandbox_url,
            "secret_key": SecretStr(self._stored_secret("secret-key")),
            "admin_token": SecretStr(self._stored_secret("admin-token")),
            "webhook_allowed_networks": LOOPBACK,
            "preflight_allowed_networks": LOOPBACK,
        }
        return Settings(**{**settings, **self.overrides})

    def _stored_secret(self, name: str) -> str:
        """Return the secret from its file in the data folder, so that a later run can decrypt the data."""
        file = self.folder / name
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(secrets.token_urlsafe(32))
        return file.read_text()

    async def _create_tenant(self) -> None:
        async with open_runtime(self.settings) as runtime:
            found = [tenant for tenant in await runtime.tenants.service.page() if tenant.name == _TENANT]
            tenant = found[0] if found else await runtime.tenants.service.create(_TENANT)
            self.api_key = (await runtime.tenants.api_keys.create(tenant.id, name="up")).text
            self.tenant_id, self.webhook_secret = tenant.id, tenant.webhook_secret
            actor = Actor(kind=ActorKind.LOCAL, name=local_user(), role=Role.ADMIN)
            async with runtime.trail.act(actor, "create_login_link"):
                self.login_url = await login_link(runtime, self.base_url, name="up")

    def _python(self, name: str, *arguments: str, **changes: Any) -> Child:
        environment = self.settings.model_copy(update=changes).environment()
        command, log_file = [sys.executable, *arguments], self.folder / f"{name}.log"
        with interrupts_deferred():
            self.children[name] = child = Child(name, command, log=log_file, environment=environment)
        return child
