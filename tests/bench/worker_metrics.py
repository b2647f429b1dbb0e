"""The worker's metrics on its metrics port."""

import math
from dataclasses import dataclass
from typing import Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

_LATE: Final = "gateway_poll_delay_seconds"
_CALLS: Final = "gateway_upstream_calls_total"


@dataclass(frozen=True)
class Reading:
    submits: int
    status_calls: int
    late: dict[float, int]
    """Polls with at most this delay in seconds, by bucket; the last bucket is infinity."""

    @property
    def polls(self) -> int:
        return self.late.get(math.inf, 0)

    def late_since(self, earlier: "Reading", share: float) -> str:
        """Return the bucket of this share of the polls since then: ``<= 2.5 s``."""
        since = {bound: polls - earlier.late.get(bound, 0) for bound, polls in self.late.items()}
        bounds = sorted(bound for bound in since if bound < math.inf)
        enough = (bound for bound in bounds if since[bound] >= share * since[math.inf])
        return next((f"<= {bound:g} s" for bound in enough), f"> {bounds[-1]:g} s")


def read(port: int) -> Reading:
    submits, status_calls, late = 0.0, 0.0, dict[float, int]()
    for family in text_string_to_metric_families(httpx.get(f"http://127.0.0.1:{port}/metrics").text):
        for sample in family.samples:
            if sample.name == _CALLS and sample.labels["operation"] == "submit":
                submits += sample.value
            elif sample.name == _CALLS and sample.labels["operation"] == "status":
                status_calls += sample.value
            elif sample.name == f"{_LATE}_bucket":
                late[float(sample.labels["le"])] = int(sample.value)
    return Reading(int(submits), int(status_calls), late)
