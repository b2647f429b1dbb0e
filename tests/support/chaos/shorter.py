"""Shorter fixed waits in a process of a test."""

from datetime import timedelta
from types import ModuleType


def shorten(module: ModuleType, name: str, seconds: float) -> None:
    """Replace a wait of this module. Raise TypeError if the module has no such wait, for example after a rename."""
    if not isinstance(getattr(module, name, None), timedelta):
        raise TypeError(f"{module.__name__} has no wait {name}")
    setattr(module, name, timedelta(seconds=seconds))
