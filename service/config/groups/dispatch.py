"""Settings of the way to fal: concurrency, failed submits, unconfirmed submits, polls and deadlines."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, Field

from service.config.types import Seconds


class DispatchSettings(BaseModel):
    upstream_concurrency: Annotated[
        int, Field(ge=1, description="Slots: most generations that fal works on concurrently.")
    ] = 40
    upstream_deadline: Annotated[
        Seconds,
        Field(
            gt=timedelta(0),
            description="Longest time from submit to end; then, after a final check, the generation fails with "
            "`upstream_timeout`.",
        ),
    ] = timedelta(hours=2)
    submit_failures: Annotated[
        int,
        Field(
            ge=1,
            description="Distinct generations whose submits fail, without an accepted submit between, that close the "
            "dispatch gate: the tenant's if all are of one tenant, otherwise the account's.",
        ),
    ] = 5
    submit_refusals: Annotated[
        int,
        Field(
            ge=1,
            description="Refusals of one generation by fal, while fal accepts others, after which it fails with "
            "`upstream_unavailable`.",
        ),
    ] = 8
    submit_probe: Annotated[
        Seconds,
        Field(
            gt=timedelta(0),
            description="Wait before the first probe through a closed dispatch gate (one generation is submitted); "
            "doubles after each failed probe.",
        ),
    ] = timedelta(seconds=15)
    submit_probe_longest: Annotated[
        Seconds, Field(gt=timedelta(0), description="Longest wait between two probes through a closed dispatch gate.")
    ] = timedelta(seconds=300)
    unconfirmed_slots_share: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="Share of the slots that unconfirmed generations hold at most (further ones hold none), and "
            "upper limit of the submit window (at least 8).",
        ),
    ] = 0.25
    unconfirmed_deadline: Annotated[
        Seconds,
        Field(
            gt=timedelta(0),
            description="Longest time as `unconfirmed`; then the generation fails with `submission_unconfirmed`.",
        ),
    ] = timedelta(hours=24)
    unconfirmed_slot: Annotated[
        Seconds,
        Field(
            gt=timedelta(0),
            description="How long an unconfirmed generation holds its slot: as long as fal could be working on it.",
        ),
    ] = timedelta(minutes=6)
    queue_expiry: Annotated[
        Seconds,
        Field(
            gt=timedelta(0),
            description="Longest wait in the tenant's queue where the request has no `expires_in`; then the generation "
            "fails with `expired`.",
        ),
    ] = timedelta(hours=24)
    reconcile_every: Annotated[
        Seconds,
        Field(
            gt=timedelta(0),
            description="Wait between two searches for an unconfirmed submit; needs `GATEWAY_FAL_ADMIN_KEY`.",
        ),
    ] = timedelta(seconds=60)
    poll_shortest: Annotated[
        Seconds, Field(gt=timedelta(0), description="Shortest wait between two polls of one job.")
    ] = timedelta(seconds=1)
    poll_longest: Annotated[
        Seconds, Field(gt=timedelta(0), description="Longest wait between two polls of one job.")
    ] = timedelta(seconds=15)
    polls_per_second: Annotated[
        float,
        Field(gt=0, description="Most polls per second, over all jobs; with more jobs, each is polled less often."),
    ] = 400.0
