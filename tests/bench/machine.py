"""The machine and the versions of a measurement."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil

from service.cli.dev import embedded_redis

_PACKAGES = ("fastapi", "uvicorn", "redis", "httpx", "celery", "aiohttp", "pydantic", "uvloop")


def describe() -> dict[str, str]:
    return {
        "cpu": f"{_cpu()}, {os.cpu_count()} cores",
        "memory": f"{psutil.virtual_memory().total / 1e9:.0f} GB",
        "system": platform.platform(),
        "python": platform.python_version(),
        "redis-server": _redis(),
        **{name: version(name) for name in _PACKAGES},
        "busy before": f"{psutil.cpu_percent(interval=1.0):.0f} % of all cores",
    }


def _cpu() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or "unknown")


def _redis() -> str:
    output = subprocess.run([embedded_redis.binary(), "--version"], capture_output=True, text=True, check=True).stdout
    return next((field[2:] for field in output.split() if field.startswith("v=")), output.strip())
