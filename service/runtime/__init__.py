"""The composition root: everything a process needs, opened once and closed in order."""

from service.clock import utc_now
from service.runtime.build import Runtime, open_runtime
from service.runtime.process import calm_collector

__all__ = ["Runtime", "calm_collector", "open_runtime", "utc_now"]
