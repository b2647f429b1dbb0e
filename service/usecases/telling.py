"""What the lines of a task are about."""

from service import log, tracing
from service.domain.generation import Generation


def about(g: Generation) -> None:
    """Every line of this task from here on names this generation, its tenant and its trace."""
    log.bind(generation_id=g.id, tenant=g.tenant_id, **tracing.fields(g.traceparent))
