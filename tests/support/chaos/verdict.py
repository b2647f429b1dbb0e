"""Checks after a run under faults: the gateway's records against fal's, the receiver's, and the audit."""

import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from service.cli.dev.stack import Stack
from tests.support.chaos.jobs import Jobs
from tests.support.histories.checker import violations
from tests.support.histories.operations import events_of
from tests.support.receiver import Received, Receiver

#: Outcomes of a job that fal never accepted.
NEVER_ACCEPTED: Final = frozenset({"failed: submission_unconfirmed", "canceled"})
_WEBHOOKS_WITHIN: Final = 60.0

View = dict[str, Any]
"""A generation as the API shows it."""


@dataclass
class Report:
    """Result of a run. ``failures`` is empty if every check passed."""

    seed: int
    statuses: Counter[str] = field(default_factory=Counter)
    billed: int = 0
    alarmed: int = 0
    operations: Counter[str] = field(default_factory=Counter)
    """Recorded operations of clients, by action."""
    violations: list[str] = field(default_factory=list)
    """What the history of the operations violates."""
    to_full_width: float | None = None
    clean: bool = False
    failures: list[str] = field(default_factory=list)

    def table(self) -> str:
        rows = [
            ("seed", self.seed),
            *(("jobs " + status, count) for status, count in sorted(self.statuses.items())),
            ("billed by fal", self.billed),
            ("billed, not succeeded, alarmed", self.alarmed),
            *((f"operations: {action}", count) for action, count in sorted(self.operations.items())),
            ("violations of the history", len(self.violations)),
            ("seconds to full width", "too many" if self.to_full_width is None else f"{self.to_full_width:.1f}"),
            ("audit", "clean" if self.clean else "not clean"),
            ("failures", len(self.failures)),
        ]
        return "\n".join(
            [*(f"{name:40} {value}" for name, value in rows), *(f"FAILURE {text}" for text in self.failures)]
        )


@dataclass(frozen=True)
class Verdict:
    """Fills a report when every job has ended, or should have ended."""

    stack: Stack
    jobs: Jobs
    receiver: Receiver
    report: Report

    def fill(self, found: dict[str, View]) -> None:
        self._check_jobs(found)
        self._check_history(found)
        audit = self._admin("/audit")
        self.report.clean = audit["clean"]
        if not audit["clean"]:
            self.report.failures.append(f"the audit is not clean: {audit}")

    def _check_jobs(self, found: dict[str, View]) -> None:
        report, alarmed = self.report, {one["id"] for one in self._admin("/paid-and-lost?limit=100")["data"]}
        accepted = defaultdict(list)
        for submit in submits(self.stack):
            accepted[submit["prompt"]].append(submit)
        for name, job in self.jobs.accepted.items():
            g, at_fal = found[name], accepted[job.prompt]
            billed = any(submit["billable_units"] for submit in at_fal)
            report.statuses[outcome(g)] += 1
            report.billed += billed
            report.alarmed += billed and g["status"] != "succeeded" and name in alarmed
            if wrong := _wrong(g, billed=billed, at_fal=bool(at_fal), alarmed=name in alarmed):
                report.failures.append(f"{name} {wrong}; fal: {at_fal}\n{self._log_lines(name)}")

    def _check_history(self, found: dict[str, View]) -> None:
        """Check the operations of all clients, together with the webhooks and with fal's submits."""
        received = self._received({name for name, g in found.items() if g["finished_at"] is not None})
        for event in received:
            name = event.json["data"]["id"]
            job = self.jobs.accepted.get(name)  # a generation that no create has named is a violation of the history
            if job is not None and not event.is_signed(job.owner.webhook_secret):
                self.report.failures.append(f"{name}: a receiver refuses its webhook of {event.at}: {event.headers}")
        operations = list(self.jobs.history.operations)
        self.report.operations = Counter(one.action for one in operations)
        prompts = [submit["prompt"] for submit in submits(self.stack)]
        self.report.violations = violations(operations, events_of(received), prompts)
        for text in self.report.violations:
            names = [name for name in found if name in text]
            self.report.failures.append("\n".join([text, *map(self._log_lines, names)]))

    def _received(self, ended: set[str]) -> list[Received]:
        give_up = time.monotonic() + _WEBHOOKS_WITHIN
        while {event.json["data"]["id"] for event in self.receiver.received} < ended and time.monotonic() < give_up:
            time.sleep(0.2)
        return list(self.receiver.received)

    def _admin(self, path: str) -> Any:
        headers = {"authorization": f"Bearer {self.stack.describe()['admin_token']}"}
        url = f"{self.stack.base_url}/admin/v1{path}"
        return httpx.get(url, headers=headers, timeout=60, trust_env=False).raise_for_status().json()

    def _log_lines(self, name: str) -> str:
        """Return the log lines of all processes about a generation."""
        logs = [log.read_text(errors="replace") for log in self.stack.folder.glob("*.log")]
        lines = [line for log in logs for line in log.splitlines() if name in line and "webhook_attempt" not in line]
        return "\n".join(f"      {line[-330:]}" for line in sorted(lines, key=lambda line: line[-35:]))


def submits(stack: Stack) -> list[dict[str, Any]]:
    """Return the submits that fal accepted. fal bills those with ``billable_units`` above 0."""
    answer = httpx.get(f"{stack.sandbox_url}/_sandbox/requests", timeout=30, trust_env=False)
    found: list[dict[str, Any]] = answer.raise_for_status().json()
    return found


def outcome(g: View) -> str:
    return str(g["status"]) if g["error"] is None else f"{g['status']}: {g['error']['code']}"


def _wrong(g: View, *, billed: bool, at_fal: bool, alarmed: bool) -> str | None:
    if g["finished_at"] is None:
        return f"has not ended: {g['status']}"
    if billed and g["status"] != "succeeded" and not alarmed:
        return f"is billed, not succeeded and not alarmed: {outcome(g)}"
    if not at_fal and outcome(g) not in NEVER_ACCEPTED:
        return f"was never at fal: {outcome(g)}"
    return None
