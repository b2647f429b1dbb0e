"""fal's queue answers as JSON text, built from each job's constant part: load tests poll 1,000 times a second."""

import json
import time
from datetime import UTC, datetime
from typing import Any

from sandbox.job import Job, Status
from sandbox.settings import Settings

#: Status shows the last lines only.
LOG_WINDOW = 3
LOG_LINES = ("Fetching the start image", "Encoding the prompt", "Denoising", "Decoding the frames", "Writing the video")


def submitted(job: Job, position: int) -> str:
    return f'{{"status":"IN_QUEUE",{job.links},"logs":null,"metrics":{{}},"queue_position":{position}}}'


def status(job: Job, position: int, settings: Settings, *, with_logs: bool) -> str:
    if job.status is Status.IN_QUEUE:
        return f'{{"status":"IN_QUEUE",{job.links},"queue_position":{position}}}'
    logs = json.dumps(_logs(job, settings)) if with_logs else "null"
    if job.status is Status.IN_PROGRESS:
        return f'{{"status":"IN_PROGRESS",{job.links},"logs":{logs}}}'
    metrics = f'{{"inference_time":{job.run_time:.4f}}}'
    return f'{{"status":"COMPLETED",{job.links},"logs":{logs},"metrics":{metrics}{_errors(job, settings)}}}'


def record(job: Job) -> str:
    """Return the oracle's entry of a job."""
    units = "null" if job.outcome is None else str(float(job.outcome.units))
    return f'{{{job.record},"status":"{job.status}","billable_units":{units}}}'


def _errors(job: Job, settings: Settings) -> str:
    outcome = job.outcome
    if outcome is None or outcome.ok:
        return ""
    if outcome.error_type:
        return f',"error":{json.dumps(outcome.message)},"error_type":"{outcome.error_type}"'
    if settings.status_errors:
        return f',"error":{json.dumps(outcome.message)},"error_type":"{_model_error_type(outcome.body)}"'
    return ""


def _model_error_type(body: Any) -> str:
    details = body["detail"]
    return details[0]["type"] if isinstance(details, list) else "not_found"


def _logs(job: Job, settings: Settings) -> list[dict[str, str]]:
    if not job.behaviour.logs or job.started_at is None:
        return []
    seconds = job.behaviour.run_seconds
    interval = (settings.scaled(settings.run_seconds) if seconds is None else seconds) / (len(LOG_LINES) + 1)
    now = job.finished_at or time.time()
    moments = [(job.started_at + interval * number, line) for number, line in enumerate(LOG_LINES, 1)]
    return [_log_line(moment, line) for moment, line in moments if moment <= now][-LOG_WINDOW:]


def _log_line(moment: float, text: str) -> dict[str, str]:
    timestamp = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"message": text, "level": "INFO", "source": "USER", "timestamp": timestamp}
