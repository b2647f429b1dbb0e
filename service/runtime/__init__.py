"""The composition root: everything a process needs, opened once and closed in order."""

from service.clock import utc_now
from service.runtime.build import Runtime, open_runtime
from service.runtime.process import tune_gc

__all__ = ["Runtime", "open_runtime", "tune_gc", "utc_now"]
