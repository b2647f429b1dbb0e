"""The pace of Python's garbage collector, for processes that keep most of their objects until they end."""

import gc


def collect_rarely() -> None:
    """Call it first. Objects of imports live until the process ends: to search garbage among them at Python's pace
    takes a tenth of the CPU of a start, and a third of each create with ten thousand keys and tenants in memory.
    """
    gc.set_threshold(50_000, 50, 100)


def freeze() -> None:
    """Exclude the objects of the start from collection. Call it once, when a serving process has started."""
    collect_rarely()  # a child of `serve --workers` starts without the command line
    gc.collect()
    gc.freeze()
