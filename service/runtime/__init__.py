"""The composition root: everything a process needs, opened once and closed in order."""

from service.clock import utc_now
from service.runtime.process import calm_collector
from service.runtime.root import Runtime, open_runtime

__all__ = ["Runtime", "calm_collector", "open_runtime", "utc_now"]
