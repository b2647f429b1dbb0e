"""Query parameters of the audit trail, as tenants and operators have it."""

from typing import Annotated

from fastapi import Query

from service.domain.timestamps import Moment
from service.domain.trail import Outcome

ActorName = Annotated[str | None, Query(max_length=200, description="Id or name of the actor. Default: all.")]
Action = Annotated[str | None, Query(max_length=100, description="Name of the operation. Default: all.")]
Target = Annotated[str | None, Query(max_length=128, description="Id that was acted on. Default: all.")]
OneOutcome = Annotated[Outcome | None, Query(description="Entries with this outcome. Default: all.")]
After = Annotated[Moment | None, Query(description="Recorded at this time (RFC 3339) or later.")]
Before = Annotated[Moment | None, Query(description="Recorded before this time (RFC 3339).")]
