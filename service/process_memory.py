"""Keeps the memory of a process, which has secrets in it, from other processes and from disk."""

import ctypes
import resource
import sys
from typing import Final

_PR_SET_DUMPABLE: Final = 4


def protect() -> None:
    """Write no core file; on Linux, let no other process of the same user read the memory or attach a debugger.

    The kernel resets this at an exec: each process calls it itself.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
