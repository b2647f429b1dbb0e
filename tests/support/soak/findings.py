"""The verdict on a soak: which curves must be flat, within which bounds, and what the table shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.support.soak.curves import Bound, Judgement, Sample, judge
from tests.support.soak.sampler import Curve

#: Bounds by measure. ``noise`` is between two parts of a run: 1 MB in 7.5 minutes is 8 MB an hour.
BOUNDS: Final[Mapping[str, Bound]] = {
    "uss_mb": Bound(per_hour=6, noise=1),
    "rss_mb": Bound(per_hour=6, noise=1),
    "used_mb": Bound(per_hour=6, noise=1),
    "descriptors": Bound(per_hour=20, noise=10),
    "threads": Bound(per_hour=8, noise=4),
    "clients": Bound(per_hour=8, noise=4),
    "series": Bound(per_hour=120, noise=60),
    "keys": Bound(per_hour=60, noise=25),
    "elements": Bound(per_hour=60, noise=25),
    "files": Bound(per_hour=60, noise=25),
}
#: The simulator of fal keeps all requests, as the oracle of the tests.
NOT_JUDGED: Final = frozenset({"sandbox"})
#: The queue of a load that this machine cannot process. Every key of a generation grows with it.
_QUEUED: Final[Curve] = ("elements", "tenant:*:queued")
_GROW_WITH_QUEUE: Final = frozenset({"keys", "elements", "files"})
#: Kinds of keys that grow by design, with their lifetime.
LASTING: Final[Mapping[str, str]] = {
    "ledger": "400 days",
    "fal_request_ids": "days",
    "given_up": "days",
    "api_key:*": "revoked keys, as long as the tenant",
    "api_key:*:used": "as long as the tenant",
    "tenant:*:keys": "as long as the tenant",
    "money:end_user:*:*:*": "400 days",
    "tenant:*:deleted": "400 days",
    "trail": "400 days",
    "tenant:*:trail": "400 days",
    "tenant:*:acts:*": "1 day",
}


@dataclass
class Findings:
    """``failures`` is empty if every check passed."""

    judgements: dict[Curve, Judgement] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def judge(self, curves: Mapping[Curve, Sequence[Sample]]) -> None:
        """Judge all curves. Each has a sample at every time."""
        for (measure, name), curve in sorted(curves.items()):
            if name in NOT_JUDGED or name in LASTING:
                continue
            try:
                self.judgements[measure, name] = judge(curve, BOUNDS[measure])
            except ValueError as error:
                self.failures.append(f"the run was too short: {error}")
                return
        queued = self.judgements.get(_QUEUED)
        overloaded = queued is not None and not queued.is_flat
        if overloaded:
            self.failures.append("the load was more than this machine processes: repeat it with a lower --rate")
        for (measure, name), found in self.judgements.items():
            if not found.is_flat and not (overloaded and measure in _GROW_WITH_QUEUE):
                self.failures.append(f"{measure} of {name} grows: {describe(found)}")

    def table(self) -> str:
        """Return every curve of a process, and of keys the kinds that changed."""
        lines = [f"{'measure':12} {'of':32} {'before':>10} {'after':>10} {'per hour':>10} {'allowed':>9}"]
        for (measure, name), found in self.judgements.items():
            if measure in ("keys", "elements") and found.is_flat and found.before == found.after:
                continue
            figures = f"{found.before:10.1f} {found.after:10.1f} {found.growth:10.1f} {found.allowed:9.0f}"
            lines.append(f"{measure:12} {name:32} {figures}{'' if found.is_flat else '  GROWS'}")
        return "\n".join([*lines, *(f"FAILURE {text}" for text in self.failures)])


def describe(found: Judgement) -> str:
    change = f"{found.before:.1f} to {found.after:.1f}"
    return f"{change}, {found.growth:.1f} per hour, allowed are {found.allowed:.1f}"
