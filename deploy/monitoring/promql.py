"""PromQL expressions over the gateway's metrics.

Counters and histograms are summed over processes. A gauge that is read from Redis has the same value at every gateway:
its maximum is taken, never its sum. A sum over tenants is 0 while there is no tenant.
"""

from typing import Final

INTERVAL: Final = "$__rate_interval"
OF_TENANT: Final = 'tenant=~"$tenant"'


def rate(metric: str, *, by: str = "", where: str = "", over: str = INTERVAL) -> str:
    """Events per second."""
    return f"sum{_by(by)} (rate({metric}{_braced(where)}[{over}]))"


def per_minute(metric: str, *, by: str = "", where: str = "") -> str:
    """Events per minute, for events that are rare."""
    return f"{rate(metric, by=by, where=where)} * 60"


def increase(metric: str, *, by: str = "", where: str = "", over: str) -> str:
    """Events in the last ``over``."""
    return f"sum{_by(by)} (increase({metric}{_braced(where)}[{over}]))"


def quantile(share: float, metric: str, *, by: str = "", where: str = "") -> str:
    """The quantile of a histogram over all processes."""
    buckets = rate(f"{metric}_bucket", by=f"le, {by}" if by else "le", where=where)
    return f"histogram_quantile({share}, {buckets})"


def state(metric: str, *, by: str = "", where: str = "") -> str:
    """A gauge that is read from Redis."""
    return f"max{_by(by)} ({metric}{_braced(where)})"


def total(metric: str, *, where: str = "") -> str:
    """The sum of a gauge over tenants."""
    return or_zero(f"sum ({state(metric, by='tenant', where=where)})")


def named(expression: str) -> str:
    """Add the label ``name`` to series by tenant: the tenant's name, or its id while no gateway knows the name."""
    by_id = f'label_replace({expression}, "name", "$1", "tenant", "(.+)")'
    return f"{_join(expression)} or on (tenant) {by_id}"


def _join(expression: str) -> str:
    # topk: during a rename two gateways may show two names, and a join accepts one series per tenant only.
    return f"({expression}) * on (tenant) group_left (name) topk by (tenant) (1, gateway_tenant_info)"


def or_zero(expression: str) -> str:
    """0 instead of no series. Only for expressions without labels."""
    return f"{expression} or on () vector(0)"


def _by(labels: str) -> str:
    return f" by ({labels})" if labels else ""


def _braced(where: str) -> str:
    return f"{{{where}}}" if where else ""
