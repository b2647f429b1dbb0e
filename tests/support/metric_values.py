"""Values of metrics in this process."""

from prometheus_client.metrics import MetricWrapperBase


def value(metric: MetricWrapperBase) -> float:
    """Return the value of a counter or gauge; of one with labels, give the child: ``metric.labels(...)``."""
    (family,) = metric.collect()
    (sample,) = (sample for sample in family.samples if not sample.name.endswith("_created"))
    return sample.value
