"""A real Prometheus of Debian's package, with promtool."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import yaml

from service.cli.dev.child_processes import Child, free_port

INTERVAL = "1s"


def binary(name: str) -> str:
    """Return the path of the program. Its absence fails the test and skips nothing: no other test covers the alerts."""
    found = shutil.which(name)
    assert found, f"No {name} on PATH. Install it (Debian, Ubuntu: apt-get install prometheus) and run the tests again."
    return found


@dataclass
class Prometheus:
    """Scrapes ``jobs`` (name -> port on this machine) each second, and evaluates ``rules``."""

    folder: Path
    rules: str
    jobs: Mapping[str, int]
    port: int = field(default_factory=free_port)

    def __enter__(self) -> Self:
        (self.folder / "rules.yml").write_text(self.rules)
        config = self.folder / "prometheus.yml"
        config.write_text(yaml.safe_dump(self._config()))
        command = [
            binary("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn",
        ]
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=10, trust_env=False)
        self._child = Child("prometheus", command, log=self.folder / "prometheus.log")
        self._child.wait_until(self._is_ready)
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
        self._child.end()

    def query(self, expression: str) -> list[Any]:
        """Return the samples of an instant query."""
        answer = self._http.post("/api/v1/query", data={"query": expression})
        assert answer.status_code == 200, (expression, answer.text)
        result: list[Any] = answer.json()["data"]["result"]
        return result

    def values(self, label: str, *, of: str) -> Sequence[str]:
        answer = self._http.get(f"/api/v1/label/{label}/values", params={"match[]": of})
        found: list[str] = answer.raise_for_status().json()["data"]
        return found

    def firing(self) -> set[str]:
        """Return the names of firing alerts."""
        return {alert["labels"]["alertname"] for alert in self.alerts() if alert["state"] == "firing"}

    def alerts(self) -> list[Any]:
        answer = self._http.get("/api/v1/alerts").raise_for_status()
        found: list[Any] = answer.json()["data"]["alerts"]
        return found

    def unhealthy_rules(self) -> list[Any]:
        """Return the rules that were evaluated with an error, or not yet."""
        groups = self._http.get("/api/v1/rules").raise_for_status().json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"] if rule["health"] != "ok"]

    def _is_ready(self) -> bool:
        try:
            return self._http.get("/-/ready").is_success
        except httpx.TransportError:
            return False

    def _config(self) -> dict[str, Any]:
        return {
            "global": {"scrape_interval": INTERVAL, "scrape_timeout": INTERVAL, "evaluation_interval": "500ms"},
            "rule_files": ["rules.yml"],
            "scrape_configs": [
                {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
                for name, port in self.jobs.items()
            ],
        }
