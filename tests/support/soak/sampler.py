"""Samples of a running stack: memory, descriptors, threads and metric series of each process, keys and files."""

import csv
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
import psutil
import redis as redis_py

from tests.support.soak import keyspace
from tests.support.soak.curves import Sample

_MEGABYTE: Final = 1e6
_METRICS_SECONDS: Final = 30.0

Curve = tuple[str, str]
"""What was measured, and of what: ``("uss_mb", "gateway")``."""


@dataclass
class Sampler:
    """``pids`` and ``metrics_urls`` by name of a process. ``videos``: the folder of stored videos."""

    redis_url: str
    videos: Path
    pids: dict[str, int]
    metrics_urls: dict[str, str]
    curves: dict[Curve, list[Sample]] = field(default_factory=lambda: defaultdict(list))
    began: float = field(default_factory=time.monotonic)

    def sample(self) -> None:
        at = time.monotonic() - self.began
        for name, pid in self.pids.items():
            for measure, value in _of_process(pid).items():
                self.curves[measure, name].append((at, value))
        for name, url in self.metrics_urls.items():
            self.curves["series", name].append((at, _series(url)))
        self.curves["files", "stored videos"].append((at, sum(file.is_file() for file in self.videos.rglob("*"))))
        with redis_py.Redis.from_url(self.redis_url) as redis:
            self.curves["used_mb", "redis"].append((at, redis.info("memory")["used_memory"] / _MEGABYTE))
            self.curves["clients", "redis"].append((at, redis.info("clients")["connected_clients"]))
            self._add_keys(at, keyspace.count(redis))

    def _add_keys(self, at: float, counts: keyspace.Counts) -> None:
        for measure, found in (("keys", counts.keys), ("elements", counts.elements)):
            before = {kind for name, kind in self.curves if name == measure}
            for kind in before | found.keys():
                curve = self.curves[measure, kind]
                if not curve and at > 0:  # the kind did not exist at the samples before
                    curve += [(earlier, 0) for earlier, _ in self.curves["used_mb", "redis"][:-1]]
                curve.append((at, found[kind]))

    def write(self, file: Path) -> None:
        """Write all samples as CSV: seconds, measure, of what, value."""
        with file.open("w", newline="") as opened:
            rows = csv.writer(opened)
            rows.writerow(("seconds", "measure", "of", "value"))
            for (measure, name), curve in sorted(self.curves.items()):
                rows.writerows((f"{at:.1f}", measure, name, f"{value:.3f}") for at, value in curve)


def _of_process(pid: int) -> dict[str, float]:
    process = psutil.Process(pid)
    memory = process.memory_full_info()
    return {
        "rss_mb": memory.rss / _MEGABYTE,
        "uss_mb": memory.uss / _MEGABYTE,
        "descriptors": process.num_fds(),
        "threads": process.num_threads(),
    }


def _series(url: str) -> int:
    """Return the number of series without those of a tenant, which stay until the process ends."""
    text = httpx.get(url, timeout=_METRICS_SECONDS, trust_env=False).raise_for_status().text
    return sum(not line.startswith("#") and 'tenant="' not in line for line in text.splitlines())
