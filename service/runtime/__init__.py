"""Composition root: opens everything that a process needs, once, and closes it in reverse order."""

from service.clock import utc_now
from service.runtime.build import Runtime, open_runtime
from service.runtime.core import build_schedule

__all__ = ["Runtime", "build_schedule", "open_runtime", "utc_now"]
