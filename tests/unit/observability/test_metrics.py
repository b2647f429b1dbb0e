"""The gateway's metrics are a page that Prometheus stores whole."""

from collections import Counter
from itertools import pairwise

import pytest
from prometheus_client import REGISTRY, Histogram, generate_latest

from service.observability import metrics

HISTOGRAMS = {name: value for name, value in vars(metrics).items() if isinstance(value, Histogram)}


@pytest.mark.parametrize("name", HISTOGRAMS)
def test_buckets_increase(name: str) -> None:
    """Prometheus drops the second of two series with one name and the same labels."""
    assert all(low < high for low, high in pairwise(HISTOGRAMS[name]._upper_bounds))


def test_page_has_each_series_once() -> None:
    lines = [line for line in generate_latest(REGISTRY).decode().splitlines() if not line.startswith("#")]
    series = Counter(line.rpartition(" ")[0] for line in lines)
    assert [name for name, times in series.items() if times > 1] == []
