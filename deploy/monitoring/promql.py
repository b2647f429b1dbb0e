"""The four ways our metrics are asked for.

What a process counts is summed over processes. Gauges of state are the same at every gateway, so the largest is taken,
never the sum. A tenant's series begin with the tenant, so that sums over them may be of nothing: that is zero.
"""

from typing import Final

INTERVAL: Final = "$__rate_interval"
OF_TENANT: Final = 'tenant=~"$tenant"'


def rate(metric: str, *, by: str = "", where: str = "", over: str = INTERVAL) -> str:
    """Events per second."""
    return f"sum{_by(by)} (rate({metric}{_braced(where)}[{over}]))"


def quantile(share: float, metric: str, *, by: str = "", where: str = "") -> str:
    """Of a histogram, over all processes."""
    buckets = rate(f"{metric}_bucket", by=f"le, {by}" if by else "le", where=where)
    return f"histogram_quantile({share}, {buckets})"


def state(metric: str, *, by: str = "", where: str = "") -> str:
    """A gauge that every gateway reads from Redis."""
    return f"max{_by(by)} ({metric}{_braced(where)})"


def total(metric: str, *, where: str = "") -> str:
    """Over tenants."""
    return or_zero(f"sum ({state(metric, by='tenant', where=where)})")


def or_zero(expression: str) -> str:
    return f"{expression} or on () vector(0)"


def _by(labels: str) -> str:
    return f" by ({labels})" if labels else ""


def _braced(where: str) -> str:
    return f"{{{where}}}" if where else ""
