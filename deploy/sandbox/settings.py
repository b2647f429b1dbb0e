"""Settings of the sandbox, from `SANDBOX_*` environment variables.

Durations are seconds on fal's clock; `speed` makes that clock run faster than real time. What is unknown about the real
platform (see the switches at the end) is decided here, once, with a default.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SANDBOX_")

    speed: float = Field(default=1, gt=0)
    concurrency: int = Field(default=40, ge=1)  # fal's self-serve ceiling of jobs IN_PROGRESS
    queue_seconds: float = Field(default=5, ge=0)
    run_seconds: float = Field(default=60, ge=0)
    key: SecretStr | None = None
    models_files: tuple[Path, ...] = ()  # GATEWAY_MODELS_FILE of the gateway, and folders of such files; a JSON list
    result_ttl: float | None = Field(default=None, gt=0)  # None keeps results; fal forgets them after about an hour

    status_errors: bool = False  # does status carry `error` and `error_type` for a model's own 422?
    cancel_answer: Literal["CANCELLATION_REQUESTED", "OK"] = "CANCELLATION_REQUESTED"  # of a job still queued
    response_suffix: bool = False  # does `response_url` end with `/response`?
    bill_blocked: bool = False  # are outputs refused by the content policy billed?

    def scaled(self, seconds: float) -> float:
        """Convert seconds on fal's clock to real seconds."""
        return seconds / self.speed
